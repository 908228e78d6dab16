using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>
/// The published agent as process 1 of namespaces of its own, with a client. Containers have a root made of busybox. When
/// it is disposed its namespaces end, and everything in them.
/// </summary>
public sealed class AgentUnderTest : IAsyncLifetime
{
    public const string Busybox = "/bin/busybox";

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);
    private static readonly string[] s_capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"];

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-agent-").FullName;
    private Process? _process;
    private AgentClient? _client;
    private int _containers;

    public AgentClient Client => _client ?? throw new InvalidOperationException("The agent was not started.");

    /// <summary>A directory that serves as image.</summary>
    public string Image => Path.Combine(_folder, "image");

    private string Sockets => Path.Combine(_folder, "s");

    public static string? ReasonToSkip =>
        Environment.UserName != "root" ? "makes namespaces and cgroups: needs root"
        : !File.Exists(Busybox) ? "needs the Debian package busybox-static"
        : null;

    public async ValueTask InitializeAsync()
    {
        if (ReasonToSkip is not null)
        {
            return;
        }

        MakeImage();
        Directory.CreateDirectory(Sockets);
        _process = Process.Start(new ProcessStartInfo(
            "unshare",
            ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", Program, "--listen", Sockets, "--cgroup", Path.GetFileName(_folder)]))!;
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (true)
        {
            try
            {
                _client = await AgentClient.ConnectAsync(ConnectAsync);
                return;
            }
            catch (SocketException) when (DateTime.UtcNow < deadline && !_process.HasExited)
            {
                await Task.Yield();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
        {
            await _client.ShutdownAsync(new CancellationTokenSource(s_deadline).Token);
            await _client.DisposeAsync();
            Assert.True(_process!.WaitForExit(s_deadline), "the agent did not end");
            Assert.Equal(0, _process.ExitCode);
            string cgroup = Path.Combine("/sys/fs/cgroup/unified", Path.GetFileName(_folder));
            if (Directory.Exists(cgroup))
            {
                Directory.Delete(cgroup);
            }
        }

        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A specification like that of a CRI runtime, running a shell command.</summary>
    public static RuntimeSpec Specification(string command) => new()
    {
        Process = ProcessOf(command),
        Mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc", Options = ["nosuid", "noexec", "nodev"] },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            new() { Destination = "/dev/pts", Type = "devpts", Source = "devpts", Options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            new() { Destination = "/dev/shm", Type = "tmpfs", Source = "shm", Options = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            new() { Destination = "/sys", Type = "sysfs", Source = "sysfs", Options = ["nosuid", "noexec", "nodev", "ro"] },
            new() { Destination = "/sys/fs/cgroup", Type = "cgroup", Source = "cgroup", Options = ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        ],
        Linux = new LinuxSpec
        {
            Namespaces = [new() { Type = "pid" }, new() { Type = "ipc" }, new() { Type = "uts" }, new() { Type = "mount" }, new() { Type = "cgroup" }],
            MaskedPaths = ["/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/scsi"],
            ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    };

    public static ProcessSpec ProcessOf(string command) => new()
    {
        Args = ["sh", "-c", command],
        Env = ["PATH=/bin"],
        Capabilities = new CapabilitiesSpec { Bounding = s_capabilities, Effective = s_capabilities, Permitted = s_capabilities },
        NoNewPrivileges = true,
    };

    public static ByteString Json(ProcessSpec process) => ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec));

    /// <summary>Creates a container with all its streams; it is not started.</summary>
    public async Task<string> CreateAsync(RuntimeSpec spec, Action<CreateContainerRequest>? change = null)
    {
        string id = $"c{Interlocked.Increment(ref _containers)}";
        var request = new CreateContainerRequest
        {
            ContainerId = id,
            Spec = ByteString.CopyFrom(spec.ToJson()),
            Rootfs = new RootFilesystem { Image = new Filesystem { Type = "bind", Source = Image } },
            Stdio = new StandardStreams { Stdin = true, Stdout = true, Stderr = true },
        };
        change?.Invoke(request);
        await Client.CreateContainerAsync(request);
        return request.ContainerId;
    }

    /// <summary>Creates and starts a container that stays.</summary>
    public async Task<string> StartAsync(RuntimeSpec? spec = null, Action<CreateContainerRequest>? change = null)
    {
        string id = await CreateAsync(spec ?? Specification("trap 'exit 7' TERM; while :; do sleep 0.05; done"), change);
        await Client.StartContainerAsync(new StartContainerRequest { ContainerId = id });
        return id;
    }

    /// <summary>Runs a container to its end, and removes it.</summary>
    public async Task<Ended> RunAsync(RuntimeSpec spec, Action<CreateContainerRequest>? change = null)
    {
        string id = await CreateAsync(spec, change);
        Task<string> output = ReadAsync(id, "", StdioStream.Stdout);
        Task<string> errors = spec.Process!.Terminal ? Task.FromResult("") : ReadAsync(id, "", StdioStream.Stderr);
        await Client.StartContainerAsync(new StartContainerRequest { ContainerId = id });
        WaitProcessResponse exit = await Client.WaitProcessAsync(new WaitProcessRequest { ContainerId = id }).WaitAsync(s_deadline);
        var ended = new Ended((int)exit.ExitStatus, await output.WaitAsync(s_deadline), await errors.WaitAsync(s_deadline));
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
        return ended;
    }

    public Task<Ended> RunAsync(string command) => RunAsync(Specification(command));

    /// <summary>Runs a process in a container by the one call that does it.</summary>
    public async Task<Ended> ExecAsync(string id, ProcessSpec process, uint timeoutMs = 0, UserLookup? user = null)
    {
        using TtrpcStream<RunProcessEvent> events = await Client.RunProcessAsync(
            new RunProcessRequest { ContainerId = id, Process = Json(process), TimeoutMs = timeoutMs, User = user });
        var output = new MemoryStream();
        var errors = new MemoryStream();
        using var limit = new CancellationTokenSource(s_deadline);
        await foreach (RunProcessEvent happened in events.ReadAllAsync(limit.Token))
        {
            happened.Stdout?.WriteTo(output);
            happened.Stderr?.WriteTo(errors);
            if (happened.Exited is { } exit)
            {
                return new Ended((int)exit.ExitStatus, Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(errors.ToArray()), exit.TimedOut);
            }
        }

        throw new InvalidOperationException("The stream ended without an exit.");
    }

    public Task<Ended> ExecAsync(string id, string command) => ExecAsync(id, ProcessOf(command));

    public async Task<string> ReadAsync(string id, string execId, StdioStream which)
    {
        await using Stream stream = await Client.OpenStdioAsync(new StdioHandshake(id, execId, which));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    public static async Task EventuallyAsync(Func<Task<bool>> condition, string what)
    {
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < deadline, what);
            await Task.Yield();
        }
    }

    private static string Program
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
            {
                folder = Path.GetDirectoryName(folder)!;
            }

            string program = Path.Combine(folder, "out", "bin", "hearth-agent");
            Assert.True(File.Exists(program), "out/bin/hearth-agent is missing: run ./build hearth-agent");
            return program;
        }
    }

    /// <summary>What ip(8) of this machine says in the agent's network.</summary>
    public string Ip(params string[] arguments)
    {
        string agent = File.ReadAllText($"/proc/{_process!.Id}/task/{_process.Id}/children").Trim();
        using Process ip = Process.Start(new ProcessStartInfo("nsenter", [$"--net=/proc/{agent}/ns/net", "ip", .. arguments]) { RedirectStandardOutput = true })!;
        string output = ip.StandardOutput.ReadToEnd();
        ip.WaitForExit();
        Assert.Equal(0, ip.ExitCode);
        return output;
    }

    /// <summary>A connection to one of the agent's ports.</summary>
    public async Task<Stream> ConnectAsync(uint port, CancellationToken cancellation = default)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(Sockets, $"{port}")), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void MakeImage()
    {
        foreach (string folder in (string[])["bin", "etc", "tmp", "home/ember"])
        {
            Directory.CreateDirectory(Path.Combine(Image, folder));
        }

        File.Copy(Busybox, Path.Combine(Image, "bin", "busybox"));
        using Process list = Process.Start(new ProcessStartInfo(Busybox, ["--list"]) { RedirectStandardOutput = true })!;
        foreach (string applet in list.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(static name => name != "busybox"))
        {
            File.CreateSymbolicLink(Path.Combine(Image, "bin", applet), "busybox");
        }

        File.WriteAllText(Path.Combine(Image, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nember:x:1000:1001::/home/ember:/bin/sh\nnonsense\n");
        File.WriteAllText(Path.Combine(Image, "etc/group"), "root:x:0:\nember:x:1001:\nwheel:x:10:root,ember\nvideo:x:44:ember\n");
    }
}

/// <summary>How a process ended and what it wrote.</summary>
public sealed record Ended(int Status, string Output, string Errors, bool TimedOut = false);
