using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Containers;
using Hearth.Programs.Agent.Guest;
using Hearth.Programs.Agent.Processes;
using Hearth.Programs.Agent.Service;
using Hearth.Programs.Agent.Setup;
using Hearth.Programs.Agent.Stdio;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent;

/// <summary>The agent from its start to its end.</summary>
internal static class AgentProcess
{
    /// <summary>Serves until it is shut down. In a guest it does not come back: the machine ends.</summary>
    public static void Run(AgentOptions options)
    {
        Machine.IgnoreBrokenPipes();
        Rlimits.SetFiles(Rlimits.MostFiles);
        if (options.IsGuest)
        {
            GuestMounts.SetUp();
        }
        else
        {
            ChildProcess.BecomeSubreaper();
        }

        var paths = AgentPaths.Prepare(options);
        using var loop = new EventLoop();
        var reaper = new ChildReaper();
        var events = new EventHub();
        var containers = new ContainerStore(new ContainerHost(paths, reaper, loop, events, Cgroup.OpenParent(paths.Cgroups, options.CgroupName)));
        using FileDescriptor ttrpc = Listen(options, AgentPorts.Ttrpc);
        using FileDescriptor stdio = Listen(options, AgentPorts.Stdio);
        using FileDescriptor tcp = Listen(options, AgentPorts.Tcp);
        var end = new TaskCompletionSource();
        var server = new TtrpcServer(AgentService.Create(new AgentService(options, paths, containers, events, end)));
        using var ttrpcListener = new ConnectionListener(loop, ttrpc, connection => Serve(server, connection));
        using var stdioListener = new ConnectionListener(loop, stdio, connection => StdioConnection.Begin(loop, connection, containers.FindStream));
        var ports = new PortForwarder();
        using var tcpListener = new ConnectionListener(loop, tcp, ports.Take);
        reaper.Start();
        var thread = new Thread(loop.Run) { IsBackground = true, Name = "stdio" };
        thread.Start();
        if (options.IsGuest)
        {
            AgentLog.Error($"Serving on vsock ports {AgentPorts.Ttrpc} to {AgentPorts.Tcp}.");
            Announce();
        }

        end.Task.Wait();
        containers.RemoveAll();
        if (options.IsGuest)
        {
            Machine.Reset();
        }
    }

    private static void Announce()
    {
        try
        {
            using VsockStream connection = VsockStream.Connect(LinuxVmSockets.VMADDR_CID_HOST, AgentPorts.Ready);
        }
        catch (LinuxException)
        {
            // Nobody on the host waits to be told.
        }
    }

    private static void Serve(TtrpcServer server, FileDescriptor connection) =>
        _ = server.ServeAsync(new SocketStream(connection));

    private static FileDescriptor Listen(AgentOptions options, uint port)
    {
        const int backlog = 128;
        return options.ListenDirectory is { } directory
            ? UnixListener.Bind(Path.Combine(directory, $"{port}"), backlog)
            : VsockListener.Bind(port, backlog);
    }
}

/// <summary>Where the agent keeps things.</summary>
/// <param name="Run">Its directory: /run/hearth.</param>
/// <param name="Cgroups">Where cgroup2 is mounted.</param>
/// <param name="Program">The agent's own program, on a read-only mount: containers may find it through /proc.</param>
internal sealed record AgentPaths(string Run, string Cgroups, string Program)
{
    /// <summary>For containers to bind-mount.</summary>
    public string Files => $"{Run}/files";

    public string Containers => $"{Run}/containers";

    public static AgentPaths Prepare(AgentOptions options)
    {
        var paths = new AgentPaths("/run/hearth", options.IsGuest ? "/sys/fs/cgroup" : "/run/hearth/cgroup", "/run/hearth/agent");
        Directory.CreateDirectory(paths.Run);
        if (!options.IsGuest)
        {
            Mounts.Mount("tmpfs", paths.Run, "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV, "mode=0755");
            Directory.CreateDirectory(paths.Cgroups);
            Mounts.Mount("cgroup2", paths.Cgroups, "cgroup2", SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC);
        }

        // What a container could do to its own /proc/self/exe must not reach the agent's file: over this mount nothing is
        // written, not even by root.
        Directory.CreateDirectory(paths.Files);
        Directory.CreateDirectory(paths.Containers);
        File.WriteAllBytes(paths.Program, []);
        Mounts.Mount("/proc/self/exe", paths.Program, null, SysMount.MS_BIND);
        Mounts.Mount(null, paths.Program, null, SysMount.MS_BIND | SysMount.MS_REMOUNT | SysMount.MS_RDONLY | SysMount.MS_NOSUID);
        return paths;
    }
}
