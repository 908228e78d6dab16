using System.Text.Json;
using Hearth.Configuration;
using Hearth.Programs.Hearth.Doctor;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Cli.Tests;

/// <summary>What the doctor says of hosts that are folders.</summary>
public sealed class DoctorTests : IDisposable
{
    private const string Version = "1.2.3";
    private static readonly HearthConfig s_config = new();

    private readonly TemporaryFolder _host = new();

    public void Dispose()
    {
        _host.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_host_with_everything_is_well()
    {
        MakeWell();

        IReadOnlyList<Finding> findings = await ExamineAsync();

        Assert.All(findings, static finding => Assert.True(finding.Verdict == Verdict.Ok, $"{finding.Name}: {finding.Message}"));
        Assert.Equal("hardware: 0.4 ns an instruction", Message(findings, "kvm"));
        Assert.Contains("1.2.3", Message(findings, "hearthd"));
    }

    [Fact]
    public async Task An_empty_host_lacks_all_and_each_lack_has_its_fix()
    {
        IReadOnlyList<Finding> findings = await ExamineAsync();

        string[] failed = [.. findings.Where(finding => finding.Verdict == Verdict.Fail).Select(finding => finding.Name)];
        Assert.Equal(["kvm", "tun", "kernel", "initrd", "seccomp", "cni-plugins", "hearthd", "hearth-shim", "hearth-vmm", "hearth-jailer"], failed);
        Assert.All(findings.Where(finding => finding.Verdict != Verdict.Ok), finding => Assert.False(string.IsNullOrEmpty(finding.Fix)));
        Assert.Contains("none", Message(findings, "kvm"));
    }

    [Theory]
    [InlineData("echo 551.2", nameof(Verdict.Fail), "interpreted: 551.2 ns")]
    [InlineData("echo 9.8", nameof(Verdict.Ok), "hardware: 9.8 ns")]
    [InlineData("echo 'KVM_CREATE_VM: not permitted' >&2; exit 1", nameof(Verdict.Fail), "cannot be used: KVM_CREATE_VM: not permitted")]
    [InlineData("echo fast", nameof(Verdict.Fail), "cannot be used: fast")]
    public async Task Kvm_is_judged_by_its_speed(string monitor, string verdict, string message)
    {
        MakeWell();
        _host.Write("bin/hearth-vmm", $"#!/bin/sh\n{monitor}\n", program: true);

        Finding kvm = (await ExamineAsync()).Single(finding => finding.Name == "kvm");

        Assert.Equal(verdict, kvm.Verdict.ToString());
        Assert.Contains(message, kvm.Message);
    }

    [Theory]
    [InlineData("usr/share/hearth/vmlinux", "text", "kernel", nameof(Verdict.Fail), "is no kernel")]
    [InlineData("usr/share/hearth/vmlinux.config", "CONFIG_64BIT=y\n", "kernel", nameof(Verdict.Fail), "CONFIG_VIRTIO_BLK")]
    [InlineData("usr/share/hearth/agent.initrd", "text", "initrd", nameof(Verdict.Fail), "is no initrd")]
    [InlineData("proc/sys/net/ipv4/ip_forward", "0", "ip-forward", nameof(Verdict.Warn), "off")]
    [InlineData("sys/fs/cgroup/cgroup.controllers", "cpuset cpu", "cgroups", nameof(Verdict.Warn), "memory, pids")]
    [InlineData("proc/mounts", "proc /proc proc rw 0 0", "cgroups", nameof(Verdict.Warn), "none: a machine's own limits of memory, pids, cpu")]
    [InlineData("proc/mounts", "cgroup2 /u cgroup2 rw 0 0\ncgroup /c/memory cgroup rw,memory 0 0\ncgroup /c/pids cgroup rw,pids 0 0\ncgroup /c/cpu cgroup rw,cpu 0 0", "cgroups", nameof(Verdict.Ok), "v1 with memory, pids, cpu")]
    [InlineData("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "cgroup-moves", nameof(Verdict.Ok), "some milliseconds")]
    [InlineData("etc/passwd", "root:x:0:0::/:/bin/sh\njane:x:200007:100::/:/bin/sh", "jail-users", nameof(Verdict.Warn), "jane has the number 200007")]
    [InlineData("etc/subuid", "joe:165536:65536", "jail-users", nameof(Verdict.Warn), "containers of joe may run as 165536 to 231071")]
    [InlineData("proc/sys/kernel/seccomp/actions_avail", "kill_process allow", "seccomp", nameof(Verdict.Fail), "no seccomp filters")]
    [InlineData("proc/self/limits", "Max open files            1024                 4096                 files", "open-files", nameof(Verdict.Warn), "4096")]
    [InlineData("proc/sys/kernel/pid_max", "4096", "processes", nameof(Verdict.Warn), "few")]
    public async Task What_does_not_fit_is_told(string file, string text, string name, string verdict, string message)
    {
        MakeWell();
        _host.Write(file, text);

        Finding found = (await ExamineAsync()).Single(finding => finding.Name == name);

        Assert.Equal(verdict, found.Verdict.ToString());
        Assert.Contains(message, found.Message);
    }

    [Fact]
    public async Task A_program_of_another_version_is_told()
    {
        MakeWell();
        _host.Write("bin/hearthd", "#!/bin/sh\necho hearthd 0.9\n", program: true);

        Assert.Contains("another version: hearthd 0.9", Message(await ExamineAsync(), "hearthd"));
    }

    [Fact]
    public void Findings_are_lines_for_people_and_json_for_machines()
    {
        Finding[] findings = [Finding.Ok("kvm", "hardware"), Finding.Warn("disk", "little", "buy one")];
        using var text = new StringWriter { NewLine = "\n" };

        DoctorCommand.Write(findings, text, Palette.None);
        using var json = JsonDocument.Parse(DoctorCommand.ToJson(findings));

        Assert.Equal("ok    kvm   hardware\nwarn  disk  little\n            → buy one\n\nPods run here; 1 to look at.\n", text.ToString());
        Assert.True(json.RootElement.GetProperty("ok").GetBoolean());
        Assert.Equal(("disk", "warn", "buy one"), (Text("name"), Text("verdict"), Text("fix")));

        string? Text(string name) => json.RootElement.GetProperty("checks")[1].GetProperty(name).GetString();
    }

    private static string Message(IEnumerable<Finding> findings, string name) => findings.Single(finding => finding.Name == name).Message;

    private Task<IReadOnlyList<Finding>> ExamineAsync() =>
        DoctorCommand.ExamineAsync(new HostView(_host.Path, ["/bin"]), s_config, Version, CancellationToken.None);

    private void MakeWell()
    {
        _host.Write("dev/kvm");
        _host.Write("dev/net/tun");
        _host.Write("dev/userfaultfd");
        _host.Write("usr/share/hearth/vmlinux", "\x7f" + "ELF");
        _host.Write("usr/share/hearth/agent.initrd", "070701");
        _host.Write("usr/libexec/virtiofsd", "#!/bin/sh\n", program: true);
        _host.Write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids");
        _host.Write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,favordynmods 0 0");
        _host.Write("proc/sys/kernel/seccomp/actions_avail", "kill_process kill_thread trap errno user_notif trace log allow");
        _host.Write("proc/sys/net/ipv4/ip_forward", "1\n");
        _host.Write("proc/sys/kernel/pid_max", "4194304\n");
        _host.Write("proc/self/limits", "Max open files            1024                 1048576              files     ");
        foreach (string plugin in (string[])["bridge", "host-local", "loopback", "portmap"])
        {
            _host.Write($"usr/lib/cni/{plugin}", "#!/bin/sh\n", program: true);
        }

        foreach (string program in (string[])["conmon", "crun"])
        {
            _host.Write($"bin/{program}", "#!/bin/sh\n", program: true);
        }

        foreach (string program in (string[])["hearthd", "hearth-shim", "hearth-jailer", "hearth-vmm"])
        {
            _host.Write($"bin/{program}", $"#!/bin/sh\n[ \"$1\" = --kvm-speed ] && echo 0.4 && exit\necho {program} {Version}\n", program: true);
        }
    }
}
