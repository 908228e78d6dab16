using System.Net.Sockets;
using Hearth.Firecracker;

namespace Hearth.Shim.Machine;

/// <summary>Listens for the guest's own connections over vsock.</summary>
internal static class GuestListener
{
    private const UnixFileMode Everyones =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <param name="udsPath">The vsock device's <c>uds_path</c>, as this process sees it.</param>
    /// <param name="port">Of the host's, which the guest connects to.</param>
    /// <exception cref="SocketException">The socket cannot be made.</exception>
    public static VsockListener Listen(string udsPath, uint port)
    {
        VsockListener listener = VsockListener.Listen(udsPath, port);
        try
        {
            // A jailed monitor is another user; the folder decides who else gets here.
            File.SetUnixFileMode(listener.Path, Everyones);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }
}
