using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api;

/// <summary>Checks of paths that a user gave, at the time they are given.</summary>
internal static class HostFile
{
    /// <exception cref="ConfigurationException">The file cannot be opened; the message is <paramref name="prefix"/> and the system's reason.</exception>
    public static void CheckReadable(string path, string prefix) => Check(path, Fcntl.O_RDONLY, prefix);

    /// <exception cref="ConfigurationException">The file cannot be opened for reading and writing.</exception>
    public static void CheckWritable(string path, string prefix) => Check(path, Fcntl.O_RDWR, prefix);

    private static void Check(string path, int flags, string prefix)
    {
        try
        {
            // Non-blocking: a FIFO given by mistake must not hold the API.
            FileDescriptor.Open(path, flags | Fcntl.O_NONBLOCK).Dispose();
        }
        catch (LinuxException e)
        {
            throw new ConfigurationException($"{prefix}{LinuxException.Describe(e.Errno)} (os error {(int)e.Errno}) {path}");
        }
    }
}
