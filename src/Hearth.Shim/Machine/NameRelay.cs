using System.Net;
using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Network;
using Hearth.Oci.Runtime;
using Hearth.Shim.Streams;
using VsockListener = Hearth.Firecracker.VsockListener;

namespace Hearth.Shim.Machine;

/// <summary>
/// The host's end of a resolver in the pod's network namespace, which containers know by an address of the loopback: theirs is the
/// guest's. Each question comes over vsock as DNS over TCP has it, and is handed to the resolver as it is. Bounded in number and
/// time: a guest may ask what it likes. Thread: any.
/// </summary>
internal sealed class NameRelay : IAsyncDisposable
{
    private const int Port = 53;
    private const int MostAtATime = 64;
    private const int MostConfigurationBytes = 64 << 10;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    // Docker's, in each network that a user has made. Other addresses of the loopback are a container's own.
    private static readonly IPAddress s_dockers = new([127, 0, 0, 11]);

    private readonly VsockListener _listener;
    private readonly IPEndPoint _resolver;
    private readonly string _space;
    private readonly SemaphoreSlim _free = new(MostAtATime, MostAtATime);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _serving;

    private NameRelay(string udsPath, string space, IPAddress resolver)
    {
        _listener = GuestListener.Listen(udsPath, AgentPorts.Names);
        _space = space;
        _resolver = new IPEndPoint(resolver, Port);
        _serving = ServeAsync();
    }

    /// <summary>The resolver that a container is told of and cannot reach in its guest; null for none.</summary>
    /// <param name="mounts">Of its specification: one is the host's file that says it.</param>
    public static IPAddress? ResolverOf(IReadOnlyList<MountSpec> mounts)
    {
        string? file = mounts.LastOrDefault(static mount => mount.Destination == "/etc/resolv.conf")?.Source;
        try
        {
            return file is not null && new FileInfo(file) is { Exists: true, Length: < MostConfigurationBytes }
                && File.ReadLines(file).Any(static line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is ["nameserver", var server, ..] && server == s_dockers.ToString())
                ? s_dockers
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Listens, until it is disposed.</summary>
    /// <param name="udsPath">The vsock device's <c>uds_path</c>, as this process sees it.</param>
    /// <param name="space">The path by which the pod's network namespace is entered.</param>
    /// <param name="resolver">Its address there.</param>
    public static NameRelay Start(string udsPath, string space, IPAddress resolver) => new(udsPath, space, resolver);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _serving.ConfigureAwait(false);
    }

    private async Task ServeAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            await _free.WaitAsync().ConfigureAwait(false);
            try
            {
                _ = RelayAsync(await _listener.AcceptAsync(_end.Token).ConfigureAwait(false));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The machine ends; or whoever asked has gone, or this process has no descriptor left: then again in a moment.
                _free.Release();
                await Task.WhenAny(Task.Delay(s_pause, _end.Token)).ConfigureAwait(false);
            }
        }
    }

    private async Task RelayAsync(NetworkStream guest)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
        limit.CancelAfter(s_limit);
        try
        {
            await using (guest.ConfigureAwait(false))
            {
                // Where it is made is where it stays.
                using Socket socket = await Task.Run(() => NetworkNamespace.Run(_space, static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))).ConfigureAwait(false);
                await socket.ConnectAsync(_resolver, limit.Token).ConfigureAwait(false);
                using var stream = new NetworkStream(socket, ownsSocket: false);
                await StreamPair.JoinAsync(guest, stream, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or HearthException or OperationCanceledException)
        {
            // Who asked asks again.
        }
        finally
        {
            _free.Release();
        }
    }
}
