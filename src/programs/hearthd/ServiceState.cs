using System.Net.Sockets;
using System.Text;

namespace Hearth.Programs.Daemon;

/// <summary>Tells the service manager how far this service is: sd_notify(3), one datagram to <c>$NOTIFY_SOCKET</c>.</summary>
internal static class ServiceState
{
    /// <summary>Does nothing where nobody asked.</summary>
    /// <param name="state"><c>READY=1</c>, <c>STOPPING=1</c>.</param>
    /// <param name="address">Of the manager's socket: a path, or <c>@name</c>.</param>
    public static void Tell(string state, string? address)
    {
        if (string.IsNullOrEmpty(address))
        {
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            // An abstract name begins with a zero byte, which the variable shows as @.
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(address[0] == '@' ? $"\0{address[1..]}" : address));
        }
        catch (SocketException)
        {
            // A manager that does not listen learns it otherwise; pods do not wait for it.
        }
    }
}
