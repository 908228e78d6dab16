using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Firecracker;

namespace Hearth.Shim.Machine;

/// <summary>
/// Waits until a guest's agent can be spoken to. The agent says so itself, by a connection to the host: asking again and again
/// would take from the guest the time in which it boots. An agent that does not say it is asked, less often. Thread: one at a time.
/// </summary>
internal sealed class AgentReadiness : IDisposable
{
    private static readonly TimeSpan s_usualPause = TimeSpan.FromMilliseconds(250);

    private readonly string _udsPath;
    private readonly TimeSpan _pause;
    private readonly VsockListener _listener;

    private AgentReadiness(string udsPath, TimeSpan pause)
    {
        _udsPath = udsPath;
        _pause = pause;
        _listener = GuestListener.Listen(udsPath, AgentPorts.Ready);
    }

    /// <summary>Listens, before the machine starts.</summary>
    /// <param name="udsPath">The vsock device's <c>uds_path</c>, as this process sees it.</param>
    /// <param name="pause">Between attempts while nothing has been said.</param>
    /// <exception cref="SocketException">The socket cannot be made.</exception>
    public static AgentReadiness Listen(string udsPath, TimeSpan? pause = null) => new(udsPath, pause ?? s_usualPause);

    /// <summary>Connects to a port of the agent as soon as it listens.</summary>
    /// <exception cref="OperationCanceledException">The caller has waited long enough.</exception>
    /// <exception cref="SocketException">There is no monitor.</exception>
    public async Task<Stream> DialAsync(uint port, CancellationToken cancellation)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task announced = AnnouncementAsync(end.Token);
        try
        {
            while (true)
            {
                // Whoever has announced listens; a guest that lies is asked at the usual pace.
                await Task.WhenAny(announced, Task.Delay(_pause, end.Token)).ConfigureAwait(false);
                cancellation.ThrowIfCancellationRequested();
                try
                {
                    return await VsockDialer.DialAsync(_udsPath, port, cancellation).ConfigureAwait(false);
                }
                catch (IOException)
                {
                    if (announced.IsCompleted)
                    {
                        await Task.Delay(_pause, cancellation).ConfigureAwait(false);
                    }
                }
            }
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
        }
    }

    public void Dispose() => _listener.Dispose();

    private async Task AnnouncementAsync(CancellationToken cancellation)
    {
        try
        {
            using NetworkStream connection = await _listener.AcceptAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It is not waited for any more.
        }
    }
}
