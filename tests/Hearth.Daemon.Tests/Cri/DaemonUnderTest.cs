using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Hearth.Cri.Protocol;

namespace Hearth.Daemon.Tests.Cri;

/// <summary>A hearthd process of its own, with its folders in a temporary one, and clients of its socket.</summary>
public sealed class DaemonUnderTest : IAsyncLifetime
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(180);

    private readonly StringBuilder _log = new();
    private Process? _process;
    private GrpcChannel? _channel;

    public string Folder { get; } = Directory.CreateTempSubdirectory("hearthd-").FullName;

    public string Socket => Path.Combine(Folder, "hearthd.sock");

    public int Id => _process!.Id;

    public string MetricsAddress { get; private set; } = "";

    public RuntimeService.RuntimeServiceClient Runtime => new(_channel!);

    public ImageService.ImageServiceClient Images => new(_channel!);

    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    public async ValueTask InitializeAsync() => await StartAsync();

    /// <summary>Starts it and waits until it says that it is ready.</summary>
    public async Task StartAsync()
    {
        const int attempts = 3;
        // A port that was free may be another's by the time hearthd binds it.
        for (int attempt = 1; !await TryStartAsync(); attempt++)
        {
            Assert.True(attempt < attempts && Log.Contains("daemon.metrics_address", StringComparison.Ordinal), $"hearthd ended at its start: {Log}");
        }

        _channel = Connect(Socket);
    }

    /// <summary>Sends SIGTERM and waits for its end.</summary>
    public async Task<int> StopAsync()
    {
        _channel?.Dispose();
        using Process kill = Process.Start("kill", ["-TERM", $"{_process!.Id}"]);
        await _process.WaitForExitAsync().WaitAsync(Deadline);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            Assert.Equal(0, await StopAsync());
        }

        _process?.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    public string WriteConfig(string daemonKeys)
    {
        string path = Path.Combine(Folder, "hearth.toml");
        File.WriteAllText(path, $"""
            [daemon]
            socket = "{Socket}"
            root = "{Path.Combine(Folder, "root")}"
            state = "{Path.Combine(Folder, "state")}"
            {daemonKeys}

            [network]
            cni_conf = "{Path.Combine(Folder, "cni")}"
            """);
        return path;
    }

    /// <summary>Runs the program, which is expected to end by itself.</summary>
    public static (int ExitCode, string Output, string Errors) Run(params string[] arguments)
    {
        using Process process = Start(null, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(Deadline), "hearthd does not end");
        return (process.ExitCode, output.Result, errors.Result);
    }

    public static GrpcChannel Connect(string socket) => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation);
                return new NetworkStream(connection, ownsSocket: true);
            },
        },
    });

    /// <summary>The status of a call that fails.</summary>
    public static async Task<Status> FailureAsync<T>(AsyncUnaryCall<T> call) => (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Deadline))).Status;

    // False where it ended.
    private async Task<bool> TryStartAsync()
    {
        MetricsAddress = $"127.0.0.1:{FreePort()}";
        string config = WriteConfig($"metrics_address = \"{MetricsAddress}\"");
        string notify = Path.Combine(Folder, "notify.sock");
        File.Delete(notify);
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(notify));
        _process = Start(notify, "--config", config, "--log-level", "debug");
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_log)
            {
                _log.AppendLine(line.Data);
            }
        };
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        var said = new byte[64];
        Task<int> ready = manager.ReceiveAsync(said, SocketFlags.None);
        await Task.WhenAny(ready, _process.WaitForExitAsync()).WaitAsync(Deadline);
        if (!ready.IsCompleted)
        {
            _process.Dispose();
            _process = null;
            return false;
        }

        Assert.Equal("READY=1", Encoding.ASCII.GetString(said, 0, await ready));
        return true;
    }

    private static Process Start(string? notify, params string[] arguments)
    {
        string program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../../out/bin/hearthd"));
        Assert.True(File.Exists(program), "out/bin/hearthd is missing: run ./build hearthd");
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["NOTIFY_SOCKET"] = notify;
        return Process.Start(start)!;
    }

    private static int FreePort()
    {
        using var free = new TcpListener(System.Net.IPAddress.Loopback, 0);
        free.Start();
        return ((System.Net.IPEndPoint)free.LocalEndpoint).Port;
    }
}
