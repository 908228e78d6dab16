using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Images.Initrds;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Lab.Tests;

/// <summary>hearth-agent as process 1 of a real guest: its own kernel, cgroups, vsock, and an image on a block device.</summary>
public sealed class AgentTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(170);

    [Fact]
    public async Task A_pod_runs_over_vsock_from_set_up_to_shutdown()
    {
        using var monitor = new MonitorProcess();
        string kernel = Lab.BuiltKernel;
        string path = Path.Combine(monitor.Folder, "v.sock");
        monitor.PutBootSource(kernel, WriteInitrd(monitor.Folder), "console=ttyS0 reboot=k panic=1 quiet random.trust_cpu=on");
        monitor.PutMachine(1, 512);
        monitor.Put("/vsock", $$"""{"guest_cid": 3, "uds_path": "{{path}}"}""");
        monitor.Put("/drives/image", $$"""{"drive_id": "image", "path_on_host": "{{Lab.RootFilesystem}}", "is_root_device": false, "is_read_only": true}""");
        monitor.Start();
        monitor.Await("Serving on vsock");
        await using AgentClient agent = await AgentClient.ConnectAsync((port, cancellation) => ConnectAsync(path, port, cancellation));

        CheckResponse check = await agent.CheckAsync(s_deadline);
        Assert.Superset(new HashSet<string> { "cpu", "memory", "pids" }, check.CgroupControllers.ToHashSet());
        await agent.SetUpSandboxAsync(new SetUpSandboxRequest
        {
            Hostname = "pod",
            Time = new SetTimeRequest { UnixNanoseconds = 1_900_000_000_000_000_000 },
            RandomSeed = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(64)),
            Network = new Hearth.Agent.Protocol.Network { Links = { new Link { Name = "lo", Addresses = { "10.9.8.7/32" } } } },
        });

        await agent.CreateContainerAsync(Request("main", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; hostname; date -u +%Y; cat; exec sleep 1000"));
        await agent.StartContainerAsync(new StartContainerRequest { ContainerId = "main" });
        await using (Stream input = await agent.OpenStdioAsync(new StdioHandshake("main", "", StdioStream.Stdin)))
        await using (Stream output = await agent.OpenStdioAsync(new StdioHandshake("main", "", StdioStream.Stdout)))
        {
            await input.WriteAsync("typed\n"u8.ToArray());
            byte[] expected = "67108864\n40\npod\n2030\ntyped\n"u8.ToArray();
            byte[] got = new byte[expected.Length];
            await output.ReadExactlyAsync(got).AsTask().WaitAsync(s_deadline);
            Assert.Equal(Encoding.UTF8.GetString(expected), Encoding.UTF8.GetString(got));
        }

        // The end of the input connection was the end of cat: the shell goes on to sleep.
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => ExecAsync(agent, $"echo {i}")));
        Assert.Equal(Enumerable.Range(0, 20).Select(static i => $"{i}\n0"), answers);
        Assert.Equal("big\n0", await ExecAsync(agent, "head -c 3000000 /dev/zero | wc -c | grep -q 3000000 && echo big"));

        // The limits are the container's: setting its processes up takes more than these have room for.
        await agent.CreateContainerAsync(Request("tight", "exec sleep 1000", pids: 3, cpuQuota: 2_000));
        await agent.StartContainerAsync(new StartContainerRequest { ContainerId = "tight" });
        Assert.Equal("in\n0", await ExecAsync(agent, "echo in", "tight"));
        await agent.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = "tight" });

        using TtrpcStream<Event> events = await agent.EventsAsync();
        Assert.EndsWith("137", await ExecAsync(agent, "exec perl -e '$x = \"x\" x 200000000; print length $x'"), StringComparison.Ordinal);
        using var limit = new CancellationTokenSource(s_deadline);
        await foreach (Event happened in events.ReadAllAsync(limit.Token))
        {
            if (happened.OutOfMemory is { ContainerId: "main" })
            {
                break;
            }
        }

        StatsResponse stats = await agent.StatsAsync(new StatsRequest { ContainerId = "main" });
        Assert.Equal((67_108_864ul, 40ul), (stats.Memory.Limit, stats.Pids.Limit));
        Assert.True(stats.Memory.OomKills > 0 && stats.Memory.WorkingSet > 0 && stats.Cpu.UsageMicroseconds > 0);
        await agent.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = "main" });
        await agent.ShutdownAsync(limit.Token);
        Assert.Equal(0, monitor.AwaitExit());
    }

    private static CreateContainerRequest Request(string id, string command, long pids = 40, long cpuQuota = 90_000)
    {
        var spec = new RuntimeSpec
        {
            Process = Shell(command),
            Mounts =
            [
                new() { Destination = "/proc", Type = "proc", Source = "proc" },
                new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "mode=755"] },
                new() { Destination = "/dev/pts", Type = "devpts", Source = "devpts", Options = ["newinstance", "ptmxmode=0666"] },
                new() { Destination = "/sys", Type = "sysfs", Source = "sysfs", Options = ["ro"] },
                new() { Destination = "/sys/fs/cgroup", Type = "cgroup", Source = "cgroup", Options = ["ro"] },
            ],
            Linux = new LinuxSpec
            {
                Namespaces = [new() { Type = "pid" }, new() { Type = "mount" }, new() { Type = "ipc" }, new() { Type = "cgroup" }],
                Resources = new ResourcesSpec { Memory = new MemorySpec { Limit = 64 << 20 }, Pids = new PidsSpec { Limit = pids }, Cpu = new CpuSpec { Shares = 512, Quota = cpuQuota, Period = 100_000 } },
            },
        };
        return new CreateContainerRequest
        {
            ContainerId = id,
            Spec = ByteString.CopyFrom(spec.ToJson()),
            Rootfs = new RootFilesystem { Image = new Filesystem { Type = "ext4", Source = "/dev/vda", Options = { "noload" } } },
            Stdio = new StandardStreams { Stdin = true, Stdout = true },
        };
    }

    private static ProcessSpec Shell(string command) => new() { Args = ["sh", "-c", command], Env = ["PATH=/usr/bin:/bin"] };

    // Its output and its status.
    private static async Task<string> ExecAsync(AgentClient agent, string command, string container = "main")
    {
        var request = new RunProcessRequest
        {
            ContainerId = container,
            Process = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(Shell(command), RuntimeJson.Default.ProcessSpec)),
            TimeoutMs = 120_000,
        };
        using TtrpcStream<RunProcessEvent> events = await agent.RunProcessAsync(request);
        using var limit = new CancellationTokenSource(s_deadline);
        string output = "";
        await foreach (RunProcessEvent happened in events.ReadAllAsync(limit.Token))
        {
            output += happened.Stdout?.ToStringUtf8() + happened.Stderr?.ToStringUtf8();
            if (happened.Exited is { } exited)
            {
                return $"{output}{exited.ExitStatus}";
            }
        }

        throw new InvalidOperationException("The stream ended without an exit.");
    }

    private static string WriteInitrd(string folder)
    {
        string path = Path.Combine(folder, "initrd");
        using FileStream stream = File.Create(path);
        using var archive = new CpioWriter(stream);
        archive.AddFile("init", File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(Lab.Monitor)!, "hearth-agent")), 0x1ed);
        return path;
    }

    // Firecracker's vsock on the host's side: a line there, a line back, and then the guest's port.
    private static async Task<Stream> ConnectAsync(string path, uint port, CancellationToken cancellation)
    {
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            var stream = new NetworkStream(socket, ownsSocket: true);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {port}\n"), cancellation);
            byte[] one = new byte[1];
            string line = "";
            while (await stream.ReadAsync(one, cancellation) == 1 && one[0] != '\n')
            {
                line += (char)one[0];
            }

            if (line.StartsWith("OK ", StringComparison.Ordinal))
            {
                return stream;
            }

            await stream.DisposeAsync();
            Assert.True(DateTime.UtcNow < deadline, $"port {port} is not listened on");
        }
    }
}
