using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Network;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>
/// A pod's jail as the shim makes it and the published jailer builds it, with a probe in the monitor's place that tries
/// what a monitor taken over by its guest could.
/// </summary>
public sealed class PodJailTests : IDisposable
{
    private const uint User = 231_077;

    private static readonly string s_root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-podjail-").FullName;
    private readonly string _parent = $"hearth-jailtest-{Environment.ProcessId}";

    public PodJailTests() => Assert.SkipUnless(Environment.UserName == "root", "makes jails: needs root");

    private static string Jailer => Path.Combine(s_root, "out/bin/hearth-jailer");

    public void Dispose()
    {
        foreach (string mount in CgroupHierarchy.OfHost().Mounts.Values.Distinct().Where(mount => Directory.Exists($"{mount}/{_parent}")))
        {
            Directory.Delete($"{mount}/{_parent}");
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_monitor_taken_over_reaches_only_what_it_was_lent_and_changes_only_its_disk()
    {
        string probe = Probe();
        string image = Write("image", "image");
        string disk = Write("disk", "disk");
        File.SetUnixFileMode(image, (UnixFileMode)0x1b6);
        File.SetUnixFileMode(disk, (UnixFileMode)0x1b6);
        string socketPath = Path.Combine(_folder, "fs.sock");
        using var served = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        served.Bind(new UnixDomainSocketEndPoint(socketPath));
        served.Listen();
        File.SetUnixFileMode(socketPath, (UnixFileMode)0x1b6);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        string space = NetworkNamespace.Create(_folder, "net");
        JailCgroup? cgroup = TryMakeCgroup();
        try
        {
            (HostProcess process, MonitorJail jail, string imageThere, string diskThere, string socketThere) = InNamespace(() =>
            {
                var made = new MonitorJail(_folder, probe, "pod-1", User, cgroup);
                string lentImage = made.Lend(image, writable: false);
                string lentDisk = made.Lend(disk, writable: true);
                string lentSocket = made.Lend(socketPath, writable: false);
                string[] attempts =
                [
                    "try", $"open:{lentImage}", $"write:{lentImage}", $"write:{lentDisk}", $"connect-unix:{lentSocket}", $"connect-unix:{socketPath}",
                    $"signal:{Environment.ProcessId}", $"ptrace:{Environment.ProcessId}", $"read-memory:{Environment.ProcessId}", $"connect-inet:{port}",
                    "open:/etc/passwd", $"open:{_folder}", "open:/proc/1/status", "exec:/bin/sh", "create:/f/new", "mount:/run", "setuid:0", "unshare:131072",
                    "allocate:16", "allocate:400", "fork:400",
                ];
                return (HostProcess.Start(Jailer, made.Arguments(space, attempts), PodMonitor.Confinement), made, lentImage, lentDisk, lentSocket);
            });
            using MonitorJail _ = jail;
            await using HostProcess __ = process;
            Assert.Equal(0, await process.Exited);
            ILookup<string, string> facts = process.Output.Lines(int.MaxValue).Split('\n').Where(static line => line.Contains('=')).ToLookup(static line => line[..line.IndexOf('=')], static line => line[(line.IndexOf('=') + 1)..]);
            string Of(string fact) => facts[fact].LastOrDefault() ?? $"not in: {process.Output.Lines(int.MaxValue)}";
            // Process 1 of its namespace, and yet this process's child: its end and its status were seen.
            Assert.Equal(("1", $"{User}", $"{User}", "0", "0", "1"), (Of("pid"), Of("uid"), Of("gid"), Of("capabilities"), Of("bounding"), Of("no-new-privileges")));
            Assert.Equal(("done", "EROFS", "done", "done"), (Of($"open:{imageThere}"), Of($"write:{imageThere}"), Of($"write:{diskThere}"), Of($"connect-unix:{socketThere}")));
            Assert.All([$"connect-unix:{socketPath}", "open:/etc/passwd", $"open:{_folder}", "open:/proc/1/status", "exec:/bin/sh"], attempt => Assert.Equal("ENOENT", Of(attempt)));
            Assert.All([$"signal:{Environment.ProcessId}", $"ptrace:{Environment.ProcessId}", $"read-memory:{Environment.ProcessId}"], attempt => Assert.Equal("ESRCH", Of(attempt)));
            Assert.Equal(("EPERM", "EPERM", "EPERM"), (Of("mount:/run"), Of("setuid:0"), Of("unshare:131072")));
            // The pod's own loopback, on which nobody listens.
            Assert.Equal("ECONNREFUSED", Of($"connect-inet:{port}"));
            Assert.Equal("EACCES", Of("create:/f/new"));
            if (cgroup is not null)
            {
                Assert.Equal(("done", "ENOMEM", "EAGAIN"), (Of("allocate:16"), Of("allocate:400"), Of("fork:400")));
                Assert.True(cgroup.ReadOutOfMemory().Killed);
            }
        }
        finally
        {
            NetworkNamespace.Remove(space);
            foreach (string folder in cgroup?.Folders ?? [])
            {
                await JailCgroup.RemoveAsync(folder);
            }

            MonitorJail.Remove(_folder);
        }
    }

    [Fact]
    public async Task What_serves_a_guest_has_no_more_than_it_was_started_with()
    {
        HostConfinement confinement = Virtiofsd.Confinement;
        await using HostProcess process = HostProcess.Start(
            "/bin/sh", ["-c", "echo pid=$$; cat /proc/self/oom_score_adj; grep -E 'CapBnd|CapPrm|NoNewPrivs' /proc/self/status; readlink /proc/self/ns/net /proc/self/ns/mnt; exit 7"], confinement);
        Assert.Equal(7, await process.Exited);
        string[] lines = process.Output.Lines(20).Split('\n');
        string mask = confinement.Capabilities!.Value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(["pid=1", "0", $"CapPrm:\t{mask}", $"CapBnd:\t{mask}", "NoNewPrivs:\t1"], lines[..5]);
        Assert.NotEqual(LinkOf("net"), lines[5]);
        // Volumes appear in this one.
        Assert.Equal(LinkOf("mnt"), lines[6]);
    }

    private static string LinkOf(string space) => new FileInfo($"/proc/self/ns/{space}").LinkTarget!;

    // The mounts go with the namespace; the jail is its copy.
    private static T InNamespace<T>(Func<T> work) => Namespaces.OnOwnThread(() =>
    {
        Namespaces.Unshare(Sched.CLONE_NEWNS);
        Mounts.Mount(null, "/", null, SysMount.MS_REC | SysMount.MS_SLAVE);
        return work();
    });

    private JailCgroup? TryMakeCgroup()
    {
        try
        {
            return JailCgroup.Create(CgroupHierarchy.OfHost(), null, _parent, "pod-1", 1, 128, static _ => { }, static (_, _) => { }) is { } cgroup && cgroup.Settings.Count >= 3 ? cgroup : null;
        }
        catch (HearthException)
        {
            return null;
        }
    }

    private string Probe()
    {
        Assert.True(File.Exists(Jailer), "out/bin/hearth-jailer is missing: run ./build hearth-jailer");
        string source = Path.Combine(_folder, "probe.c");
        using (Stream from = typeof(PodJailTests).Assembly.GetManifestResourceStream("probe.c")!)
        using (FileStream to = File.Create(source))
        {
            from.CopyTo(to);
        }

        string probe = Path.Combine(_folder, "probe");
        using Process compiler = Process.Start("cc", ["-static", "-O1", "-w", "-o", probe, source]);
        compiler.WaitForExit();
        Assert.Equal(0, compiler.ExitCode);
        return probe;
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
