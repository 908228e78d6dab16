using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>
/// One hearthd for all tests of pods, with folders, a network and a registry of its own. It starts with the first test that
/// asks, so that nothing starts where the tests skip themselves.
/// </summary>
public sealed class PodLab : IAsyncLifetime
{
    private readonly StringBuilder _log = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-pods-").FullName;
    private Process? _registry;
    private Process? _daemon;
    private CriClient? _client;
    private int _names;
    private bool _warm;

    internal string Folder => _folder;

    internal string Config => Path.Combine(_folder, "hearth.toml");

    internal string Root => Path.Combine(_folder, "root");

    internal string State => Path.Combine(_folder, "state");

    internal string Logs => Path.Combine(_folder, "logs");

    internal int RegistryPort { get; private set; }

    internal int DaemonId => _daemon!.Id;

    internal CriClient Client => _client!;

    internal string Busybox => $"127.0.0.1:{RegistryPort}/busybox:1";

    internal string Web => $"127.0.0.1:{RegistryPort}/web:1";

    internal string App => $"127.0.0.1:{RegistryPort}/app:1";

    /// <summary>What the daemon said: shown by a test that fails.</summary>
    internal string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_daemon is { HasExited: false })
        {
            await StopDaemonAsync("TERM");
        }

        _registry?.Kill();
        _client?.Dispose();
        if (Environment.GetEnvironmentVariable("HEARTH_SHOW_LOG") is not null)
        {
            Console.Error.WriteLine(Log);
        }

        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (IOException)
        {
            // A leaked mount: the tests that count have said so.
        }
    }

    /// <summary>Starts what is not running yet: the registry, the daemon.</summary>
    internal async Task<CriClient> ReadyAsync()
    {
        _ = Lab.BuiltKernel;
        _ = Lab.AgentInitrd;
        if (_registry is null)
        {
            foreach (string module in new[] { "tun", "bridge", "veth", "overlay", "loop", "erofs", "iptable_nat", "xt_comment", "xt_conntrack", "xt_MASQUERADE", "cls_u32", "sch_ingress", "act_mirred" })
            {
                Run("modprobe", "-q", module);
            }

            Directory.CreateDirectory(Logs);
            RegistryPort = FreePort();
            _registry = Process.Start(new ProcessStartInfo(Lab.ImagesScript, ["serve", $"{RegistryPort}"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            WriteConfig();
            await AwaitRegistryAsync();
        }

        if (_daemon is null or { HasExited: true })
        {
            await StartDaemonAsync();
        }

        if (!_warm)
        {
            // What the first pod makes and all others share: the bridge, the parents of cgroups and folders, portmap's chains.
            _warm = true;
            await Client.PullAsync(Busybox);
            PodSandboxConfig config = Pod("first");
            config.PortMappings.Add(new PortMapping { ContainerPort = 80, HostPort = FreePort() });
            string pod = await Client.RunPodAsync(config);
            await Client.RunContainerAsync(pod, config, Idle("main"));
            await Client.RemovePodAsync(pod);
        }

        return _client!;
    }

    internal async Task StartDaemonAsync(string? config = null)
    {
        _daemon = Process.Start(new ProcessStartInfo(Lab.Program("hearthd"), ["--config", config ?? Config]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Pump(_daemon.StandardOutput);
        Pump(_daemon.StandardError);
        _client?.Dispose();
        _client = new CriClient(Path.Combine(State, "hearthd.sock"));
        DateTime deadline = CriClient.Deadline;
        while (true)
        {
            Assert.False(_daemon.HasExited, $"hearthd ended:\n{Log}");
            try
            {
                await _client.Runtime.VersionAsync(new VersionRequest(), deadline: DateTime.UtcNow.AddSeconds(20));
                return;
            }
            catch (RpcException) when (DateTime.UtcNow < deadline)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Ends the daemon by a signal and waits for its end. Pods go on.</summary>
    internal async Task StopDaemonAsync(string signal)
    {
        Run("kill", $"-{signal}", $"{_daemon!.Id}");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _daemon.WaitForExitAsync(limit.Token);
    }

    internal HostState Count() => HostState.Take(State, Path.Combine(Root));

    /// <summary>Polls until nothing is left beyond <paramref name="before"/>.</summary>
    internal async Task NothingLeftAsync(HostState before)
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(60);
        while (true)
        {
            string left = Count().Beyond(before);
            if (left.Length == 0)
            {
                return;
            }

            Assert.True(DateTime.UtcNow < deadline, $"left behind:\n{left}\n\nhearthd said:\n{Log}");
            await Task.Delay(200);
        }
    }

    /// <summary>A pod with its own log folder.</summary>
    internal PodSandboxConfig Pod(string name)
    {
        string unique = $"{name}-{Interlocked.Increment(ref _names)}";
        string logs = Path.Combine(Logs, unique);
        Directory.CreateDirectory(logs);
        return new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = unique, Namespace = "tests", Uid = $"uid-{unique}" },
            Hostname = name,
            LogDirectory = logs,
            Labels = { ["test"] = name },
            Linux = new LinuxPodSandboxConfig(),
        };
    }

    /// <summary>A container of the busybox image that runs a shell's command line, in a PID namespace of its own as a kubelet asks for.</summary>
    internal ContainerConfig Shell(string name, string command) => new()
    {
        Metadata = new ContainerMetadata { Name = name },
        Image = new ImageSpec { Image = Busybox },
        Command = { "sh", "-c", command },
        LogPath = $"{name}.log",
        Linux = new LinuxContainerConfig { SecurityContext = new LinuxContainerSecurityContext { NamespaceOptions = new NamespaceOption { Pid = NamespaceMode.Container } } },
    };

    /// <summary>A container that waits to be told something, and ends at once when it is to.</summary>
    internal ContainerConfig Idle(string name) => Shell(name, "trap 'exit 0' TERM; sleep 100000 & wait");

    internal static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.StandardOutput.ReadToEnd();
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Writes a configuration; <paramref name="replace"/> changes keys of it.</summary>
    internal string WriteConfig(string name = "hearth.toml", Func<string, string>? replace = null)
    {
        string cni = Path.Combine(_folder, "net.d");
        Directory.CreateDirectory(cni);
        File.WriteAllText(
            Path.Combine(cni, "10-tests.conflist"),
            $$$"""
            {"cniVersion": "0.4.0", "name": "hearth-tests", "plugins": [
              {"type": "bridge", "bridge": "hearthtest0", "isGateway": true, "ipMasq": true,
               "ipam": {"type": "host-local", "dataDir": "{{{_folder}}}/ipam", "ranges": [[{"subnet": "10.77.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
              {"type": "portmap", "capabilities": {"portMappings": true}}]}
            """);
        string text =
            $"""
            [daemon]
            socket = "{State}/hearthd.sock"
            root = "{Root}"
            state = "{State}"
            log_level = "debug"

            [microvm]
            kernel = "{Lab.BuiltKernel}"
            initrd = "{Lab.AgentInitrd}"
            memory_mib = 192
            boot_timeout_s = 150
            scratch_mib = 512

            [network]
            cni_bin = ["/usr/lib/cni"]
            cni_conf = "{cni}"

            [images]
            idle_timeout_s = 5

            [[registries]]
            host = "127.0.0.1:{RegistryPort}"
            plain_http = true
            """;
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, replace?.Invoke(text) ?? text);
        return path;
    }

    private async Task AwaitRegistryAsync()
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(120);
        while (true)
        {
            Assert.False(_registry!.HasExited, "the registry ended: has lab/images.sh build made its images?");
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, RegistryPort);
                return;
            }
            catch (SocketException) when (DateTime.UtcNow < deadline)
            {
                await Task.Delay(100);
            }
        }
    }

    private void Pump(StreamReader reader) => new Thread(() =>
    {
        while (reader.ReadLine() is { } line)
        {
            lock (_log)
            {
                _log.AppendLine(line);
            }
        }
    })
    { IsBackground = true }.Start();
}
