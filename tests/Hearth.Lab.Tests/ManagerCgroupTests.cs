using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Machine;

namespace Hearth.Lab.Tests;

/// <summary>A pod's cgroup in one that its manager looks at, by a kernel with version 2.</summary>
public sealed class ManagerCgroupTests : IDisposable
{
    private readonly string _parent = $"hearth-manager-{Environment.ProcessId}";

    private string Folder => $"{CgroupMounts.FindUnified()}/{_parent}/container";

    public void Dispose()
    {
        if (Directory.Exists(Path.GetDirectoryName(Folder)))
        {
            Directory.Delete(Path.GetDirectoryName(Folder)!);
        }
    }

    /// <summary>As hearth-oci's: Docker counts what is in the cgroup of the process that stands for the container, and the kernel gives no limits below it.</summary>
    [Fact]
    public async Task One_with_a_process_in_it_takes_the_limits_and_counts_the_pod()
    {
        Lab.SkipElsewhere();
        Directory.CreateDirectory(Folder);
        await using HostProcess standIn = HostProcess.Start("/bin/sleep", ["1000"]);
        File.WriteAllText($"{Folder}/cgroup.procs", $"{standIn.Pid}");
        var warnings = new List<string>();

        JailCgroup cgroup = JailCgroup.Create(
            CgroupHierarchy.OfHost(), new ManagerCgroup($"{_parent}/container", TakesLimits: true), "hearth", "pod", 1, 128, warnings.Add, static (_, _) => { })!;
        await using HostProcess monitor = HostProcess.Start("/bin/sleep", ["1000"]);
        cgroup.Add(monitor.Pid);

        Assert.Empty(warnings);
        Assert.Equal(["--cgroup-version", "2", "--parent-cgroup", $"{_parent}/container/pod"], cgroup.Arguments);
        Assert.Equal($"{cgroup.MemoryBytes}\n", Read("memory.max"));
        Assert.Equal(("2\n", "200000 100000\n"), (Read("pids.current"), Read("cpu.max")));
        Assert.Equal(Folder, cgroup.LimitsFolder);

        // A second machine does not share them.
        JailCgroup apart = JailCgroup.Create(
            CgroupHierarchy.OfHost(), new ManagerCgroup($"{_parent}/container", TakesLimits: true), $"{_parent}/apart", "pod-2", 1, 256, warnings.Add, static (_, _) => { })!;
        Assert.Contains("another machine is in it", Assert.Single(warnings));
        Assert.Equal($"{CgroupMounts.FindUnified()}/{_parent}/apart/pod-2", apart.LimitsFolder);
        Assert.Equal($"{cgroup.MemoryBytes}\n", Read("memory.max"));
        Directory.Delete(apart.LimitsFolder);
        Directory.Delete(Path.GetDirectoryName(apart.LimitsFolder)!);

        await JailCgroup.RemoveAsync(Assert.Single(cgroup.Folders));
        Assert.Equal(128 + Signals.SIGKILL, await monitor.Exited);
        Assert.False(standIn.Exited.IsCompleted);
        JailCgroup.Leave(Folder);
        Assert.True(Directory.Exists(Folder));
        standIn.Kill();
        await standIn.Exited;
        JailCgroup.Leave(Folder);
        Assert.False(Directory.Exists(Folder));
    }

    private string Read(string file) => File.ReadAllText($"{Folder}/{file}");
}
