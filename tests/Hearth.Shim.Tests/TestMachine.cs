using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Netlink;
using Hearth.Network;
using Hearth.Oci.Runtime;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Tests;

/// <summary>
/// A pod's machine without a machine: the real agent as process 1 of namespaces of its own, which the real protocols are
/// spoken to. Its "monitor" is the process whose end is the namespaces' end.
/// </summary>
public sealed class TestMachine : IPodMachine
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _folder;
    private readonly string _cgroup;
    private readonly TaskCompletionSource<string> _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TestMachine(Process process, string folder, string cgroup, AgentClient agent, PodMachineOptions options)
    {
        _process = process;
        _folder = folder;
        _cgroup = cgroup;
        Agent = agent;
        Options = options;
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _stopped.TrySetResult("the test's agent has ended");
        if (process.HasExited)
        {
            _stopped.TrySetResult("the test's agent has ended");
        }
    }

    public PodMachineOptions Options { get; }

    public int MonitorPid => _process.Id;

    public string MonitorVersion => "0.0.0";

    public PodJail? Jail => null;

    public AgentClient Agent { get; }

    public Task<string> Stopped => _stopped.Task;

    /// <summary>What containers were detached, in order.</summary>
    public List<string> Detached { get; } = [];

    public (int Vcpus, int MemoryMib)? Updated { get; private set; }

    /// <summary>The directory that every container has as its image.</summary>
    public required string Image { get; init; }

    private int AgentPid => int.Parse(File.ReadAllText($"/proc/{_process.Id}/task/{_process.Id}/children").Trim(), System.Globalization.CultureInfo.InvariantCulture);

    public static async Task<TestMachine> StartAsync(PodMachineOptions options, string image)
    {
        string folder = Directory.CreateTempSubdirectory("hearth-pod-").FullName;
        string cgroup = Path.GetFileName(folder);
        Process process = Process.Start(new ProcessStartInfo(
            "unshare",
            ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", Published("hearth-agent"), "--listen", folder, "--cgroup", cgroup]))!;
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (true)
        {
            try
            {
                AgentClient agent = await AgentClient.ConnectAsync((port, cancellation) => ConnectAsync(Path.Combine(folder, $"{port}"), cancellation));
                await agent.CheckAsync(s_deadline);
                return new TestMachine(process, folder, cgroup, agent, options) { Image = image };
            }
            catch (SocketException) when (DateTime.UtcNow < deadline && !process.HasExited)
            {
                await Task.Yield();
            }
        }
    }

    public static string Published(string program)
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        string path = Path.Combine(folder, "out", "bin", program);
        Assert.True(File.Exists(path), $"out/bin/{program} is missing: run ./build {program}");
        return path;
    }

    public Task<RootFilesystem> AttachRootAsync(string containerId, string bundle, RuntimeSpec spec, IReadOnlyList<Mount> rootfs, CancellationToken cancellation) =>
        Task.FromResult(new RootFilesystem { Image = new Filesystem { Type = "bind", Source = Image } });

    public Task<IReadOnlyList<MountSpec>> AttachVolumesAsync(string containerId, IReadOnlyList<MountSpec> mounts, CancellationToken cancellation) => Task.FromResult(mounts);

    public Task DetachAsync(string containerId)
    {
        Detached.Add(containerId);
        return Task.CompletedTask;
    }

    public Task<Stream> ConnectPortAsync(ushort port, CancellationToken cancellation) => Agent.OpenPortAsync(port, cancellation);

    /// <summary>How often it was asked for.</summary>
    public int NetworkJoined { get; private set; }

    /// <summary>What asking for it comes to.</summary>
    public Task JoiningNetwork { get; set; } = Task.CompletedTask;

    public Task JoinNetworkAsync(CancellationToken cancellation)
    {
        NetworkJoined++;
        return JoiningNetwork;
    }

    /// <summary>The namespace that it is watched in; null for a network that cannot change.</summary>
    public string? Network { get; set; }

    public RouteWatch? WatchNetwork() => Network is null ? null : NetworkNamespace.Run(Network, static () => new RouteWatch());

    /// <summary>For which resolvers it was asked, in order.</summary>
    public List<IPAddress> NamesServed { get; } = [];

    /// <summary>What asking for them comes to.</summary>
    public Task ServingNames { get; set; } = Task.CompletedTask;

    public Task ServeNamesAsync(IPAddress resolver, CancellationToken cancellation)
    {
        NamesServed.Add(resolver);
        return ServingNames;
    }

    public Task PauseAsync(CancellationToken cancellation)
    {
        _ = Signals.kill(AgentPid, 19);
        return Task.CompletedTask;
    }

    public Task ResumeAsync(CancellationToken cancellation)
    {
        _ = Signals.kill(AgentPid, 18);
        return Task.CompletedTask;
    }

    public Task UpdateAsync(int vcpus, int memoryMib, CancellationToken cancellation)
    {
        Updated = memoryMib > 4096 ? throw new HearthException("The machine cannot grow so far.") : (vcpus, memoryMib);
        return Task.CompletedTask;
    }

    /// <summary>As a monitor that is killed.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        await Agent.DisposeAsync();
        string cgroup = Path.Combine(Directory.Exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup", _cgroup);
        DateTime deadline = DateTime.UtcNow + s_deadline;
        while (Directory.Exists(cgroup))
        {
            try
            {
                foreach (string child in Directory.EnumerateDirectories(cgroup))
                {
                    Directory.Delete(child);
                }

                Directory.Delete(cgroup);
            }
            catch (IOException) when (DateTime.UtcNow < deadline)
            {
                // Its processes are on their way out.
                await Task.Yield();
            }
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<Stream> ConnectAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
