using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A socket's path as bind(2) and connect(2) take it. Source: unix(7).</summary>
internal static unsafe class UnixAddress
{
    /// <param name="path">1 to 107 bytes.</param>
    /// <param name="call">For the exception: <c>bind</c>, <c>connect</c>.</param>
    /// <exception cref="LinuxException">The path is empty, too long, or has a NUL.</exception>
    public static sockaddr_un From(string path, string call)
    {
        var address = new sockaddr_un { sun_family = SysSocket.AF_UNIX };
        int length = Encoding.UTF8.GetByteCount(path);
        // The last byte stays zero: other programs read the path as a C string.
        if (length is 0 or >= sockaddr_un.PathSize || path.Contains('\0'))
        {
            throw new LinuxException($"{call}(\"{path}\")", length == 0 ? Errno.ENOENT : Errno.ENAMETOOLONG, "A socket's path is 1 to 107 bytes long.");
        }

        // SAFETY: sun_path holds PathSize bytes and `length` was just checked to be less.
        Encoding.UTF8.GetBytes(path, new Span<byte>(address.sun_path, sockaddr_un.PathSize));
        return address;
    }
}
