using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Lab.Tests;

/// <summary>
/// What stands behind a hostile guest's devices: a virtiofsd, another one each time it has ended, which it does at what a guest
/// says; and programs of the host that its vsock device reaches. Thread: any.
/// </summary>
internal sealed class HostileBackEnds : IAsyncDisposable
{
    // As a service manager would: not at once again and again.
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    // For an end that has come to be seen.
    private static readonly TimeSpan s_exit = TimeSpan.FromSeconds(10);
    private static readonly int[] s_ports = [1, 2];

    private readonly CancellationTokenSource _end = new();
    private readonly List<Socket> _sockets = [];
    private readonly string _path;
    private readonly UnixListener _listener;
    private readonly Task _served;
    private int _lives;
    private int _connections;

    private HostileBackEnds(string folder, string path, JailCgroup cgroup)
    {
        _path = path;
        _listener = UnixListener.Bind(path, backlog: 16, blocking: true);
        File.SetUnixFileMode(path, (UnixFileMode)0x1b6);
        _served = ServeAsync(folder, cgroup);
    }

    public static HostileBackEnds Start(string folder, string socketPath, JailCgroup cgroup) => new(folder, socketPath, cgroup);

    /// <summary>Answers at the guest's first ports with what it is sent.</summary>
    /// <param name="path">The vsock device's socket.</param>
    public void Listen(string path)
    {
        foreach (int port in s_ports)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint($"{path}_{port}"));
            File.SetUnixFileMode($"{path}_{port}", (UnixFileMode)0x1b6);
            socket.Listen();
            _sockets.Add(socket);
            _ = Task.Run(() => AcceptAsync(socket));
        }
    }

    public override string ToString() => $"{_lives} virtiofsd, {_connections} connections to the host";

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _sockets.ForEach(static socket => socket.Dispose());
        await _served;
        _listener.Dispose();
        File.Delete(_path);
        _end.Dispose();
    }

    private async Task ServeAsync(string folder, JailCgroup cgroup)
    {
        while (!_end.IsCancellationRequested)
        {
            await using HostProcess process = Virtiofsd.Start(Virtiofsd.Find(""), folder, _listener);
            _lives++;
            try
            {
                cgroup.Add(process.Pid);
            }
            catch (LinuxException) when (process.Exited.Wait(s_exit))
            {
                // What was waiting for it was more than it could take.
            }

            await Task.WhenAny(process.Exited, Task.Delay(Timeout.Infinite, _end.Token));
            await Task.WhenAny(Task.Delay(s_pause, _end.Token));
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        byte[] buffer = new byte[4096];
        while (!_end.IsCancellationRequested)
        {
            try
            {
                using Socket socket = await listener.AcceptAsync(_end.Token);
                Interlocked.Increment(ref _connections);
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
                patience.CancelAfter(s_pause);
                int count = await socket.ReceiveAsync(buffer, SocketFlags.None, patience.Token);
                await socket.SendAsync(buffer.AsMemory(0, count), SocketFlags.None, patience.Token);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The guest's end of it, or the test's.
            }
        }
    }
}
