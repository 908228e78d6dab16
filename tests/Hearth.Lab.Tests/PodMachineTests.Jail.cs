using System.Diagnostics;
using System.Globalization;
using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Lab.Tests;

/// <content>What holds the monitor of a pod, and how its end is told.</content>
public sealed partial class PodMachineTests
{
    [Fact]
    public async Task A_monitor_in_its_jail_is_held_by_every_layer_and_a_forbidden_call_of_it_is_the_pods_end_with_its_name()
    {
        int[] processes = Processes();
        string space = MakeNetwork();
        IPodMachine machine = await PodMachine.StartAsync(Options(space), CancellationToken.None);
        try
        {
            AssertHeld(machine, space);
            // What a monitor taken over would do: the next of its calls becomes another, before its filter looks at it.
            using Process tracer = Process.Start(new ProcessStartInfo(
                "strace", ["-f", "-p", Text(machine.MonitorPid), "-o", "/dev/null", "-e", "trace=epoll_wait,epoll_pwait", "-e", "inject=epoll_wait,epoll_pwait:retval=0:syscall=getppid"]))!;
            string reason = await machine.Stopped.WaitAsync(s_deadline);
            Assert.StartsWith("The monitor was ended by its seccomp filter: Error: a thread of kind ", reason, StringComparison.Ordinal);
            Assert.Contains("called getppid", reason, StringComparison.Ordinal);
            await tracer.WaitForExitAsync(new CancellationTokenSource(s_deadline).Token);
        }
        finally
        {
            await machine.DisposeAsync();
        }

        AssertNothingIsLeft(processes);
    }

    [Fact]
    public async Task A_monitor_that_takes_more_than_its_cgroup_has_is_killed_and_the_pod_says_so()
    {
        int[] processes = Processes();
        IPodMachine machine = await PodMachine.StartAsync(Options(null), CancellationToken.None);
        try
        {
            Assert.NotEqual(Host("stat", "-L", "-c", "%i", "/proc/self/ns/net"), Host("stat", "-L", "-c", "%i", $"/proc/{machine.MonitorPid}/ns/net"));
            string cgroup = machine.Jail!.Cgroups.Single();
            string[] counted = [.. File.ReadLines($"{cgroup}/memory.stat").Where(static line => line.Split(' ')[0] is "anon" or "kernel" or "file" or "shmem")];
            TestContext.Current.TestOutputHelper?.WriteLine($"peak {Control(cgroup, "memory.peak")}, {string.Join(", ", counted)}, pids {Control(cgroup, "pids.current")}");
            // Less than what the guest has already written to, and there is no swap: the kernel ends it at once.
            File.WriteAllText($"{cgroup}/memory.max", Text(32 << 20));
            string reason = await machine.Stopped.WaitAsync(s_deadline);
            Assert.Contains("It was the kernel, for the", reason, StringComparison.Ordinal);
            Assert.Contains(cgroup, reason, StringComparison.Ordinal);
        }
        finally
        {
            await machine.DisposeAsync();
        }

        AssertNothingIsLeft(processes);
    }

    [Fact]
    public async Task A_machine_of_huge_pages_shares_them_with_virtiofsd_and_one_that_finds_none_says_so()
    {
        int[] processes = Processes();
        PodMachineOptions options = Options(null);
        options = options with { MemoryMib = 127, Config = options.Config with { Microvm = options.Config.Microvm with { HugePages = "2M" } } };
        HearthException refused = await Assert.ThrowsAnyAsync<HearthException>(() => PodMachine.StartAsync(options, CancellationToken.None));
        Assert.Contains("sysctl vm.nr_hugepages", refused.Message, StringComparison.Ordinal);
        using (new HugePagePool(64))
        {
            // With its volumes mounted.
            await using IPodMachine machine = await PodMachine.StartAsync(options, CancellationToken.None);
            Assert.InRange(HugePagePool.KibOf(machine.MonitorPid, "Hugetlb"), 8 << 10, 128 << 10);
        }

        AssertNothingIsLeft(processes);
    }

    private void AssertHeld(IPodMachine machine, string space)
    {
        int pid = machine.MonitorPid;
        PodJail jail = machine.Jail!;
        Assert.InRange(jail.User, 200_000u, 204_095u);
        Assert.Equal((jail.User, true, true, "0000000000000000", space), (jail.Group, jail.PidNamespace, jail.NoNewPrivileges, jail.Capabilities, jail.NetworkNamespace));
        Assert.Equal((jail.Threads, true), (jail.FilteredThreads, jail.Threads > 3));
        Assert.Equal(Host("stat", "-L", "-c", "%i", space), Host("stat", "-L", "-c", "%i", $"/proc/{pid}/ns/net"));
        foreach (string kind in (string[])["mnt", "pid", "ipc", "uts"])
        {
            Assert.NotEqual(new FileInfo($"/proc/self/ns/{kind}").LinkTarget, new FileInfo($"/proc/{pid}/ns/{kind}").LinkTarget);
        }

        // Its root has its program, its devices, its sockets and what it was lent: none of which it can change. The disk it may
        // change it has open, and no name for.
        Assert.Equal(["dev", "f", "hearth-vmm", "hearth-vmm.pid", "run"], Directory.GetFileSystemEntries($"/proc/{pid}/root/").Select(Path.GetFileName).Order(StringComparer.Ordinal));
        string[][] mounts = [.. File.ReadAllLines($"/proc/{pid}/mountinfo").Select(static line => line.Split(' '))];
        Assert.All(mounts, static mount => Assert.True(mount[4] == "/" || (mount[4].StartsWith("/f/", StringComparison.Ordinal) && mount[5].Split(',').Contains("ro")), string.Join(' ', mount)));
        Assert.Equal("hearth-vmm", File.ReadAllText($"/proc/{pid}/comm").Trim());
        Assert.Equal(1, Exit("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-e", $"{jail.Root}/run/api.sock"));
        Assert.Equal(0, Exit("test", "-e", $"{jail.Root}/run/api.sock"));

        string cgroup = jail.Cgroups.Single();
        Assert.Equal((Text(jail.MemoryLimit), "129", "200000 100000"), (Control(cgroup, "memory.max"), Control(cgroup, "pids.max"), Control(cgroup, "cpu.max")));
        Assert.InRange(jail.MemoryLimit, 256L << 20, 384L << 20);
        int[] members = [.. File.ReadAllLines($"{cgroup}/cgroup.procs").Select(static line => int.Parse(line, CultureInfo.InvariantCulture)).Where(static member => member != 0)];
        Assert.Contains(pid, members);
        int virtiofsd = members.Single(static member => File.ReadAllText($"/proc/{member}/comm").Trim() == "virtiofsd");
        string[] status = File.ReadAllLines($"/proc/{virtiofsd}/status");
        // Owners and permissions of files, and nothing else; not for its children either.
        const ulong files = 0x880000DB;
        Assert.All(status.Where(static line => line.StartsWith("Cap", StringComparison.Ordinal) && !line.StartsWith("CapBnd", StringComparison.Ordinal)), static line => Assert.Equal(0ul, Hex(line) & ~files));
        Assert.Contains("NoNewPrivs:\t1", status);
        Assert.Contains("Seccomp:\t2", status);
        Assert.NotEqual(new FileInfo("/proc/self/ns/net").LinkTarget, new FileInfo($"/proc/{virtiofsd}/ns/net").LinkTarget);
        Assert.All((int[])[pid, virtiofsd], static process => Assert.Equal("0", File.ReadAllText($"/proc/{process}/oom_score_adj").Trim()));
    }

    private static ulong Hex(string line) => ulong.Parse(line[(line.IndexOf('\t') + 1)..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static string Control(string cgroup, string file) => File.ReadAllText($"{cgroup}/{file}").Trim();

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static int Exit(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode;
    }
}
