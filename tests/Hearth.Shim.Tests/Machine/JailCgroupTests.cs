using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>Pods' cgroups, by the host's own, of whichever version it has.</summary>
public sealed class JailCgroupTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-cgroup-").FullName;
    private readonly List<string> _warnings = [];
    private readonly List<string> _written = [];
    private IReadOnlyList<string> _managers = [];

    private string Parent => Path.GetFileName(_folder);

    private static string? ReasonToSkip => Environment.UserName != "root" ? "makes cgroups: needs root" : null;

    public void Dispose()
    {
        foreach (string mount in CgroupHierarchy.OfHost().Mounts.Values.Distinct().Where(mount => Directory.Exists($"{mount}/{Parent}")))
        {
            Directory.Delete($"{mount}/{Parent}");
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_host_with_both_versions_is_asked_where_its_controllers_are()
    {
        string unified = MakeUnified("hybrid", "");
        CgroupHierarchy hybrid = CgroupHierarchy.Find([$"cgroup2 {unified} cgroup2 rw 0 0", "cgroup /c/memory cgroup rw,memory 0 0", "cgroup /c/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0"]);
        Assert.Equal((1, "/c/memory", "/c/cpu,cpuacct"), (hybrid.Version, hybrid.Mounts["memory"], hybrid.Mounts["cpu"]));
        Assert.Equal(["pids"], hybrid.Missing);
        unified = MakeUnified("unified", "cpuset cpu io memory pids");
        CgroupHierarchy pure = CgroupHierarchy.Find([$"cgroup2 {unified} cgroup2 rw 0 0", "cgroup /c/name cgroup rw,name=systemd 0 0"]);
        Assert.Equal((2, 3, unified), (pure.Version, pure.Mounts.Count, pure.Mounts["pids"]));
        Assert.Equal(["memory", "pids", "cpu"], CgroupHierarchy.Find(["proc /proc proc rw 0 0"]).Missing);
    }

    [Fact]
    public void What_the_host_does_not_give_is_said_and_done_without()
    {
        // No kernel answers here: there is no file that controllers could be asked for in.
        string unified = MakeUnified("locked", "memory pids");
        CgroupHierarchy hierarchy = CgroupHierarchy.Find([$"cgroup2 {unified} cgroup2 rw 0 0"]);
        Assert.Null(JailCgroup.Create(hierarchy, null, Parent, "pod", 1, 128, _warnings.Add, (own, _) => _written.AddRange(own)));
        Assert.Contains("memory, pids, cpu", _warnings.Single(), StringComparison.Ordinal);
        Assert.Contains("subtree_control", _warnings.Single(), StringComparison.Ordinal);
        Assert.Throws<HearthException>(() => JailCgroup.Create(hierarchy, null, "../up", "pod", 1, 128, _warnings.Add, (own, _) => _written.AddRange(own)));
    }

    [Fact]
    public async Task Who_is_left_in_it_is_ended_when_it_goes()
    {
        Assert.SkipWhen(ReasonToSkip is not null, ReasonToSkip ?? "");
        JailCgroup cgroup = Make("left");
        await using HostProcess process = HostProcess.Start("/bin/sleep", ["1000"]);
        cgroup.Add(process.Pid);
        foreach (string folder in cgroup.Folders)
        {
            await JailCgroup.RemoveAsync(folder);
            await JailCgroup.RemoveAsync(folder);
            Assert.False(Directory.Exists(folder));
        }

        Assert.Equal(128 + Signals.SIGKILL, await process.Exited);
    }

    [Fact]
    public async Task A_pod_is_below_its_managers_cgroup_which_goes_with_it_but_not_with_somebody_in_it()
    {
        Assert.SkipWhen(ReasonToSkip is not null, ReasonToSkip ?? "");
        string manager = $"{Parent}/of-the-manager";
        JailCgroup cgroup = Make("pod", manager);
        Assert.All(cgroup.Folders, folder => Assert.EndsWith($"/{manager}/pod", folder, StringComparison.Ordinal));
        Assert.Contains($"--parent-cgroup {manager} ", string.Join(' ', cgroup.Arguments), StringComparison.Ordinal);
        string[] others = [.. _managers.Select(folder => Directory.CreateDirectory($"{folder}/other").FullName)];
        await using HostProcess process = HostProcess.Start("/bin/sleep", ["1000"]);
        others.ToList().ForEach(other => File.WriteAllText($"{other}/cgroup.procs", $"{process.Pid}"));
        foreach (string folder in cgroup.Folders)
        {
            await JailCgroup.RemoveAsync(folder);
        }

        _managers.ToList().ForEach(JailCgroup.Leave);
        Assert.All(others, other => Assert.True(Directory.Exists(other)));
        Assert.False(process.Exited.IsCompleted);
        process.Kill();
        await process.Exited;
        others.ToList().ForEach(Directory.Delete);

        _managers.ToList().ForEach(JailCgroup.Leave);
        Assert.DoesNotContain(_managers, Directory.Exists);
    }

    [Fact]
    public async Task A_process_that_takes_too_much_is_killed_and_the_pod_says_why()
    {
        Assert.SkipWhen(ReasonToSkip is not null, ReasonToSkip ?? "");
        JailCgroup cgroup = Make("greedy");
        Assert.SkipUnless(cgroup.Settings.Any(static setting => setting.StartsWith("memory.", StringComparison.Ordinal)), "the host has no memory controller");
        Set(cgroup);
        // It waits to be put there, and then keeps what it is given.
        string go = Path.Combine(_folder, "go");
        await using HostProcess process = HostProcess.Start("/bin/sh", ["-c", $"until [ -e {go} ]; do sleep 0.1; done; x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo $?"]);
        cgroup.Add(process.Pid);
        Assert.Equal(default, cgroup.ReadOutOfMemory());
        File.WriteAllText(go, "");
        int status = await process.Exited;
        Assert.Equal(128 + Signals.SIGKILL, status);
        Assert.Equal(new OutOfMemory(ReachedLimit: true, Killed: true), cgroup.ReadOutOfMemory());
        string reason = MonitorEnd.ReasonOf(status, "", cgroup);
        Assert.StartsWith("The monitor was killed by signal 9. It was the kernel, for the 65 MiB of its cgroup ", reason, StringComparison.Ordinal);
        foreach (string folder in cgroup.Folders)
        {
            await JailCgroup.RemoveAsync(folder);
        }
    }

    [Fact]
    public void Ends_have_their_reasons()
    {
        Assert.Equal("The guest has ended the machine.", MonitorEnd.ReasonOf(0, "", null));
        Assert.Equal("The monitor was killed by signal 9: by somebody on the host, or for want of memory, which dmesg says.", MonitorEnd.ReasonOf(137, "", null));
        Assert.Equal("The monitor was killed by signal 11.", MonitorEnd.ReasonOf(139, "", null));
        Assert.Equal("The monitor ended with status 153.", MonitorEnd.ReasonOf(153, "", null));
        string said = "a guest: called reboot, which its seccomp filter forbids.\nError: a thread of kind \"api\" called getppid, which its seccomp filter forbids. Exit code 148.\n";
        string reason = MonitorEnd.ReasonOf(148, said, null);
        Assert.Contains("a thread of kind \"api\" called getppid", reason, StringComparison.Ordinal);
        Assert.DoesNotContain("a guest", reason, StringComparison.Ordinal);
        Assert.Contains("did not say", MonitorEnd.ReasonOf(148, "", null), StringComparison.Ordinal);
    }

    private JailCgroup Make(string name, string? manager = null)
    {
        JailCgroup? made = null;
        try
        {
            made = JailCgroup.Create(CgroupHierarchy.OfHost(), manager is null ? null : new ManagerCgroup(manager), Parent, name, 1, 1, _warnings.Add, (own, above) =>
            {
                // Whoever dies now leaves nothing that is not known.
                Assert.DoesNotContain(own, Directory.Exists);
                _written.AddRange(own);
                _managers = above;
            });
        }
        catch (HearthException e)
        {
            Assert.Skip($"the host's cgroups cannot be written: {e.Message}");
        }

        Assert.SkipWhen(made is null, "the host gives no controllers");
        Assert.All(made.Folders, folder => Assert.Contains(folder, _written));
        return made;
    }

    // As the jailer does.
    private static void Set(JailCgroup cgroup)
    {
        foreach (string[] setting in cgroup.Settings.Select(static setting => setting.Split('=', 2)))
        {
            foreach (string folder in cgroup.Folders.Where(folder => File.Exists($"{folder}/{setting[0]}")))
            {
                File.WriteAllText($"{folder}/{setting[0]}", setting[1]);
            }
        }
    }

    private string MakeUnified(string name, string controllers)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        File.WriteAllText(Path.Combine(folder, "cgroup.controllers"), controllers + "\n");
        return folder;
    }
}
