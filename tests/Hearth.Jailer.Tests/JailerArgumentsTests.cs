using Hearth.Linux;
using Hearth.Programs.Jailer;

namespace Hearth.Jailer.Tests;

public sealed class JailerArgumentsTests
{
    private static readonly string[] s_least = ["--id", "vm-1", "--exec-file", "/bin/vmm", "--uid", "1000", "--gid", "1001"];

    [Fact]
    public void The_least_that_has_to_be_said_leaves_Firecrackers_defaults()
    {
        JailerArguments arguments = JailerArguments.Parse(s_least);
        Assert.Equal(("vm-1", "/bin/vmm", 1000u, 1001u), (arguments.Id, arguments.ExecFile, arguments.Uid, arguments.Gid));
        Assert.Equal(("/srv/jailer", 1, 2048ul), (arguments.BaseDirectory, arguments.CgroupVersion, arguments.FilesLimit));
        Assert.False(arguments.Daemonize || arguments.NewPidNamespace);
        Assert.Null(arguments.NetworkNamespace);
        Assert.Null(arguments.ParentCgroup);
        Assert.Null(arguments.FileSizeLimit);
        Assert.Empty(arguments.Cgroups);
        Assert.Empty(arguments.ForProgram);
    }

    [Fact]
    public void Everything_can_be_said_with_and_without_equals_signs()
    {
        JailerArguments arguments = JailerArguments.Parse(
        [
            .. s_least, "--chroot-base-dir=/jails", "--netns", "/run/netns/a", "--daemonize", "--new-pid-ns", "--cgroup", "cpu.max=1 2", "--cgroup=io.max=8:0 rbps=1",
            "--cgroup-version", "2", "--parent-cgroup", "a/b", "--resource-limit", "fsize=5", "--resource-limit", "no-file=6", "--", "--config-file", "--uid",
        ]);
        Assert.Equal(("/jails", "/run/netns/a", true, true), (arguments.BaseDirectory, arguments.NetworkNamespace, arguments.Daemonize, arguments.NewPidNamespace));
        Assert.Equal([new CgroupSetting("cpu.max", "1 2"), new CgroupSetting("io.max", "8:0 rbps=1")], arguments.Cgroups);
        Assert.Equal((2, "a/b", 5ul, 6ul), (arguments.CgroupVersion, arguments.ParentCgroup, arguments.FileSizeLimit, arguments.FilesLimit));
        Assert.Equal(["--config-file", "--uid"], arguments.ForProgram);
    }

    [Theory]
    [InlineData("id", "Argument 'id' required")]
    [InlineData("exec-file", "Argument 'exec-file' required")]
    [InlineData("uid", "Argument 'uid' required")]
    [InlineData("gid", "Argument 'gid' required")]
    public void What_has_to_be_said_is_asked_for(string name, string problem)
    {
        int index = Array.IndexOf(s_least, $"--{name}");
        Assert.Contains(problem, Refusal([.. s_least[..index], .. s_least[(index + 2)..]]));
    }

    [Theory]
    [InlineData("--node", "1", "Found argument '--node'")]
    [InlineData("stray", "word", "Found argument 'stray'")]
    [InlineData("--daemonize=yes", null, "takes no value")]
    [InlineData("--netns", "--daemonize", "requires a value")]
    [InlineData("--id", "again", "more than once")]
    [InlineData("--cgroup-version", "3", "3 is an invalid cgroup version specifier")]
    [InlineData("--cgroup", "cpu.max", "Invalid format for cgroups")]
    [InlineData("--cgroup", "cpu.max=", "Invalid format for cgroups")]
    [InlineData("--cgroup", "tasks=1", "Cgroup invalid file")]
    [InlineData("--cgroup", "../up.x=1", "Cgroup invalid file")]
    [InlineData("--cgroup", "cgroup.procs=1", "Cgroup invalid file")]
    [InlineData("--parent-cgroup", "/a", "Parent cgroup path is invalid")]
    [InlineData("--parent-cgroup", "a/../b", "Parent cgroup path is invalid")]
    [InlineData("--parent-cgroup", "./a", "Parent cgroup path is invalid")]
    [InlineData("--resource-limit", "no-file", "Invalid format for resources limits")]
    [InlineData("--resource-limit", "core=1", "Invalid resource argument")]
    [InlineData("--resource-limit", "fsize=-1", "Invalid limit value for resource")]
    public void What_makes_no_sense_is_refused_by_name(string option, string? value, string problem) =>
        Assert.Contains(problem, Refusal([.. s_least, option, .. value is null ? Array.Empty<string>() : [value]]));

    [Theory]
    [InlineData("--id", "")]
    [InlineData("--id", "a/b")]
    [InlineData("--id", "..")]
    [InlineData("--id", "12345678901234567890123456789012345678901234567890123456789012345")]
    [InlineData("--uid", "-1")]
    [InlineData("--uid", "4294967295")]
    [InlineData("--gid", "root")]
    public void Ids_that_are_none_are_refused(string name, string value)
    {
        string[] arguments = [.. s_least];
        arguments[Array.IndexOf(arguments, name) + 1] = value;
        Assert.Contains("Invalid", Refusal(arguments));
    }

    [Fact]
    public void Mount_points_of_cgroups_are_read_as_the_kernel_writes_them()
    {
        string[] mounts =
        [
            "proc /proc proc rw 0 0", "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0",
            @"cgroup2 /sys/fs/cgroup\040of/unified cgroup2 rw,nsdelegate 0 0",
        ];
        Assert.Equal("/sys/fs/cgroup/cpu,cpuacct", CgroupMounts.FindController(mounts, "cpuacct"));
        Assert.Equal("/sys/fs/cgroup of/unified", CgroupMounts.FindUnified(mounts));
        Assert.Null(CgroupMounts.FindController(mounts, "cpus"));
    }

    private static string Refusal(string[] arguments) => Assert.Throws<JailerException>(() => JailerArguments.Parse(arguments)).Message;
}
