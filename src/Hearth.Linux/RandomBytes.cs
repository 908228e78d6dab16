using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// The kernel's random bytes, by getrandom(2). Not System.Security.Cryptography's: that one loads OpenSSL, which a
/// monitor in a jail does not have. Thread: any.
/// </summary>
public static unsafe class RandomBytes
{
    /// <summary>Fills the span. Waits, once after the host's boot, until the kernel has gathered enough.</summary>
    /// <exception cref="LinuxException">The kernel refuses: getrandom(2) is not let through by a seccomp filter.</exception>
    public static void Fill(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            nint filled;
            fixed (byte* p = destination)
            {
                // SAFETY: the span is pinned and the length is its own.
                filled = SysRandom.getrandom(p, (nuint)destination.Length, 0);
            }

            if (filled < 0)
            {
                if (LinuxException.LastErrno == Errno.EINTR)
                {
                    continue;
                }

                throw LinuxException.Last("getrandom()", "A seccomp filter of one's own must let it through.");
            }

            destination = destination[(int)filled..];
        }
    }

    /// <summary>A name that nobody else has: 32 hexadecimal digits.</summary>
    public static string Name()
    {
        Span<byte> bytes = stackalloc byte[16];
        Fill(bytes);
        return Convert.ToHexStringLower(bytes);
    }
}
