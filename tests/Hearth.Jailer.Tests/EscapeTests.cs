using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Hearth.Jailer.Tests;

/// <summary>What a monitor that its guest has taken over could do from inside its jail: each attempt, and what stops it.</summary>
public sealed class EscapeTests(JailFixture jails) : IClassFixture<JailFixture>
{
    [Fact]
    public void Nothing_of_the_host_can_be_reached()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string other = jails.NextId();
        using Process neighbour = StartDaemon(other);
        string socketPath = Path.Combine(jails.RootOf(other), "run", "api.socket");
        using var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint(socketPath));
        server.Listen();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        string network = $"he{Environment.ProcessId}";
        Assert.Equal(0, JailFixture.Run("ip", "netns", "add", network).ExitCode);
        try
        {
            Outcome outcome = jails.Jail(
                jails.NextId(),
                ["--netns", $"/run/netns/{network}"],
                "open:/etc/passwd", "open:/proc/self/status", $"open:{jails.Folder}", "open:/../../../../etc/passwd",
                $"signal:{Environment.ProcessId}", "signal:1", $"signal:{neighbour.Id}",
                $"ptrace:{neighbour.Id}", "ptrace:1", $"read-memory:{neighbour.Id}",
                $"connect-unix:{socketPath}", $"connect-inet:{port}",
                "exec:/bin/sh", "exec:/usr/bin/env",
                "setuid:0", "setgid:0", "mount:/run", "mknod", "unshare:131072", "chroot:/run", "escape",
                "write:/probe", "write:/probe.pid");
            Assert.Equal("", outcome.Errors);
            string[] allowed = [.. outcome.Facts.Where(static line => line.Key.Contains(':') || line.Key is "mknod" or "escape").Where(static line => line.Contains("done")).Select(static line => line.Key)];
            Assert.Empty(allowed);
            Assert.All(["open:/etc/passwd", $"open:{jails.Folder}", "exec:/bin/sh", $"connect-unix:{socketPath}"], attempt => Assert.Equal("ENOENT", outcome[attempt]));
            Assert.All([$"signal:{neighbour.Id}", "signal:1", "ptrace:1", "setuid:0", "mount:/run", "mknod", "escape", "chroot:/run"], attempt => Assert.Equal("EPERM", outcome[attempt]));
            Assert.Equal("ENETUNREACH", outcome[$"connect-inet:{port}"]);
        }
        finally
        {
            neighbour.Kill();
            neighbour.WaitForExit();
            _ = JailFixture.Run("ip", "netns", "delete", network);
        }
    }

    [Fact]
    public void In_a_pid_namespace_of_its_own_no_other_process_has_a_number()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        Outcome outcome = jails.Jail(jails.NextId(), ["--new-pid-ns"], $"signal:{Environment.ProcessId}", $"ptrace:{Environment.ProcessId}");
        Assert.Equal(("ESRCH", "ESRCH"), (outcome[$"signal:{Environment.ProcessId}"], outcome[$"ptrace:{Environment.ProcessId}"]));
    }

    [Fact]
    public void Its_cgroup_bounds_memory_and_processes()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        bool unified = File.Exists("/sys/fs/cgroup/cgroup.controllers");
        string[] options = unified
            ? ["--cgroup-version", "2", "--cgroup", "memory.max=33554432", "--cgroup", "memory.swap.max=0", "--cgroup", "pids.max=8"]
            : ["--cgroup", "memory.limit_in_bytes=33554432", "--cgroup", "pids.max=8", "--cgroup", "cpuset.cpus=0"];
        string id = jails.NextId();
        string parent = $"hearth-test-{Environment.ProcessId}";
        try
        {
            Outcome outcome = jails.Jail(id, [.. options, "--parent-cgroup", parent], "allocate:16", "allocate:256", "fork:4", "fork:64");
            Assert.Equal("", outcome.Errors);
            Assert.Equal(("done", "ENOMEM", "done", "EAGAIN"), (outcome["allocate:16"], outcome["allocate:256"], outcome["fork:4"], outcome["fork:64"]));
        }
        finally
        {
            foreach (string path in Directory.EnumerateDirectories("/sys/fs/cgroup", parent, unified ? SearchOption.TopDirectoryOnly : SearchOption.AllDirectories).ToArray())
            {
                Directory.Delete(Path.Combine(path, id));
                Directory.Delete(path);
            }
        }
    }

    [Fact]
    public void A_controller_that_the_host_lacks_is_named()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        Outcome outcome = jails.Jail(jails.NextId(), ["--cgroup-version", "2", "--cgroup", "teapot.max=1"]);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("Controller teapot is unavailable", outcome.Errors);
    }

    private Process StartDaemon(string id)
    {
        string[] arguments = jails.Arguments(id, ["--daemonize"], "wait");
        // As every pod has a user of its own.
        arguments[Array.IndexOf(arguments, "--uid") + 1] = $"{JailFixture.Uid + 10}";
        Assert.Equal(0, JailFixture.Run(JailFixture.Jailer, arguments).ExitCode);
        return Process.GetProcessById(int.Parse(File.ReadAllText(Path.Combine(jails.RootOf(id), "probe.pid")), System.Globalization.CultureInfo.InvariantCulture));
    }
}
