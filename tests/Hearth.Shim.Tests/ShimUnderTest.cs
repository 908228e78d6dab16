using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Configuration;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Events;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Service;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>A shim in this process, with a manager's client and a manager that takes events; its machines are <see cref="TestMachine"/>s.</summary>
public sealed class ShimUnderTest : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private static readonly string[] s_capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"];

    private readonly ShimServer _server;
    private readonly Task _running;

    private ShimUnderTest(string folder, string podId, HearthConfig config)
    {
        Folder = folder;
        MakeImage();
        Manager = new EventReceiver(Path.Combine(folder, "manager"));
        _server = new ShimServer(
            new PodOptions
            {
                Namespace = "test",
                PodId = podId,
                Paths = ShimPaths.OfSocket(Path.Combine(folder, "task")),
                EventsAddress = Path.Combine(folder, "manager"),
                Log = new ShimLog(null, debug: true),
                ReadConfig = path =>
                {
                    ConfigPath = path;
                    return config;
                },
                StartMachine = async (options, cancellation) =>
                {
                    await Boots(cancellation);
                    return Machine = await TestMachine.StartAsync(options, Path.Combine(folder, "image"));
                },
            },
            Listen(Path.Combine(folder, "task")),
            Listen(Path.Combine(folder, "task.stream")));
        _running = _server.RunAsync();
    }

    public static string? ReasonToSkip =>
        Environment.UserName != "root" ? "makes namespaces and cgroups: needs root"
        : !File.Exists("/bin/busybox") ? "needs the Debian package busybox-static"
        : null;

    public string Folder { get; }

    public EventReceiver Manager { get; }

    public ShimClient Client { get; private set; } = null!;

    public TestMachine? Machine { get; private set; }

    /// <summary>What comes before a machine is there.</summary>
    public Func<CancellationToken, Task> Boots { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Which configuration the manager named last.</summary>
    public string? ConfigPath { get; private set; }

    /// <summary>Completes when the shim has ended by itself.</summary>
    public Task Ended => _running;

    public static async Task<ShimUnderTest> StartAsync(string podId, HearthConfig? config = null)
    {
        Assert.SkipWhen(ReasonToSkip is not null, ReasonToSkip ?? "");
        var shim = new ShimUnderTest(Directory.CreateTempSubdirectory("hearth-shim-").FullName, podId, config ?? new HearthConfig());
        shim.Client = await ShimClient.ConnectAsync(Path.Combine(shim.Folder, "task"));
        return shim;
    }

    /// <summary>A specification like a manager's.</summary>
    public static RuntimeSpec Specification(string command, params (string Name, string Value)[] annotations) => new()
    {
        Process = new ProcessSpec
        {
            Args = ["sh", "-c", command],
            Env = ["PATH=/bin"],
            Capabilities = new CapabilitiesSpec { Bounding = s_capabilities, Effective = s_capabilities, Permitted = s_capabilities },
        },
        Mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc" },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "mode=755", "size=65536k"] },
            new() { Destination = "/dev/pts", Type = "devpts", Source = "devpts", Options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        ],
        Linux = new LinuxSpec
        {
            Namespaces = [new() { Type = "pid" }, new() { Type = "ipc" }, new() { Type = "uts" }, new() { Type = "mount" }, new() { Type = "network" }],
            CgroupsPath = "/test/of/the/host",
        },
        Annotations = annotations.ToDictionary(static one => one.Name, static one => one.Value),
    };

    /// <summary>As containerd annotates a pod's sandbox.</summary>
    public static RuntimeSpec Sandbox(string podId, params (string Name, string Value)[] annotations) =>
        Specification("pause", [("io.kubernetes.cri.container-type", "sandbox"), ("io.kubernetes.cri.sandbox-id", podId), .. annotations]);

    /// <summary>As containerd annotates a pod's container.</summary>
    public static RuntimeSpec Member(string podId, string command, params (string Name, string Value)[] annotations) =>
        Specification(command, [("io.kubernetes.cri.container-type", "container"), ("io.kubernetes.cri.sandbox-id", podId), .. annotations]);

    public string Bundle(string id, RuntimeSpec spec)
    {
        string bundle = Path.Combine(Folder, "bundle-" + id);
        Directory.CreateDirectory(bundle);
        File.WriteAllBytes(Path.Combine(bundle, "config.json"), spec.ToJson());
        return bundle;
    }

    public async Task CreateAsync(string id, RuntimeSpec spec, Action<CreateTaskRequest>? change = null, ShimClient? client = null)
    {
        var request = new CreateTaskRequest { Id = id, Bundle = Bundle(id, spec) };
        change?.Invoke(request);
        await (client ?? Client).CreateAsync(request).WaitAsync(Deadline);
    }

    public async Task StartAsync(string id, RuntimeSpec spec, Action<CreateTaskRequest>? change = null)
    {
        await CreateAsync(id, spec, change);
        await Client.StartAsync(id).WaitAsync(Deadline);
    }

    public Task ExecAsync(string id, string execId, string command, Action<ExecProcessRequest>? change = null) =>
        ExecAsync(id, execId, new ProcessSpec { Args = ["sh", "-c", command], Env = ["PATH=/bin"] }, change);

    public Task ExecAsync(string id, string execId, ProcessSpec process, Action<ExecProcessRequest>? change = null)
    {
        var request = new ExecProcessRequest
        {
            Id = id,
            ExecId = execId,
            Spec = new Any { TypeUrl = TaskServices.ProcessType, Value = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec)) },
        };
        change?.Invoke(request);
        return Client.ExecAsync(request);
    }

    /// <summary>Makes a FIFO.</summary>
    /// <returns>Its path, in <see cref="Folder"/>.</returns>
    public string MakeFifo(string name) => MakeFifo(Folder, name);

    public static string MakeFifo(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        using Process made = Process.Start("mkfifo", path);
        made.WaitForExit();
        Assert.Equal(0, made.ExitCode);
        return path;
    }

    public static async Task<(StatusCode Code, string Message)> RefusedAsync(Func<Task> call)
    {
        TtrpcException refused = await Assert.ThrowsAsync<TtrpcException>(call);
        return (refused.Code, refused.Message);
    }

    public static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        DateTime deadline = DateTime.UtcNow + Deadline;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, what);
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await _server.DisposeAsync();
        await Manager.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    internal static Socket Listen(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen(16);
        return socket;
    }

    private void MakeImage()
    {
        string image = Path.Combine(Folder, "image");
        foreach (string folder in (string[])["bin", "etc", "tmp"])
        {
            Directory.CreateDirectory(Path.Combine(image, folder));
        }

        File.Copy("/bin/busybox", Path.Combine(image, "bin", "busybox"));
        using Process list = Process.Start(new ProcessStartInfo("/bin/busybox", ["--list"]) { RedirectStandardOutput = true })!;
        foreach (string applet in list.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(static name => name != "busybox"))
        {
            File.CreateSymbolicLink(Path.Combine(image, "bin", applet), "busybox");
        }
    }
}
