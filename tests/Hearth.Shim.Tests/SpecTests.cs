using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Protocol;
using Hearth.Shim.Specs;
using Hearth.Shim.Streams;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>What a bundle becomes in the guest.</summary>
public sealed class SpecTests
{
    [Fact]
    public void What_is_the_hosts_is_taken_out()
    {
        RuntimeSpec spec = ShimUnderTest.Specification("true") with
        {
            Process = new ProcessSpec { Args = ["x"], ApparmorProfile = "cri-default", SelinuxLabel = "a:b:c:d", Rlimits = [new() { Type = "RLIMIT_NOFILE", Soft = 1, Hard = 2 }] },
            Hooks = new HooksSpec { Prestart = [new() { Path = "/x" }] },
            Linux = new LinuxSpec
            {
                Namespaces = [new() { Type = "pid" }, new() { Type = "ipc", Path = "/proc/1/ns/ipc" }, new() { Type = "uts" }, new() { Type = "network", Path = "/run/netns/x" }, new() { Type = "mount" }],
                CgroupsPath = "/kubepods/x",
                MountLabel = "x",
                Resources = new ResourcesSpec
                {
                    Cpu = new CpuSpec { Cpus = "7", Mems = "1", Shares = 2 },
                    HugepageLimits = [new() { PageSize = "2MB", Limit = 0 }, new() { PageSize = "1GB", Limit = 1 << 30 }],
                },
            },
        };

        GuestSpec guest = GuestSpec.From(spec, terminal: true);

        Assert.Equal(["uts", "mount"], guest.Spec.Linux!.Namespaces.Select(static one => one.Type));
        Assert.Equal((null, null, null), (guest.Spec.Linux.CgroupsPath, guest.Spec.Linux.MountLabel, guest.Spec.Hooks));
        Assert.Equal((null, null, true), (guest.Spec.Process!.ApparmorProfile, guest.Spec.Process.SelinuxLabel, guest.Spec.Process.Terminal));
        Assert.Equal((null, null, 2ul), (guest.Spec.Linux.Resources!.Cpu!.Cpus, guest.Spec.Linux.Resources.Cpu.Mems, guest.Spec.Linux.Resources.Cpu.Shares));
        Assert.Equal("1GB", Assert.Single(guest.Spec.Linux.Resources.HugepageLimits).PageSize);
        Assert.Single(guest.Spec.Process.Rlimits);
        Assert.Equal(3, guest.Notes.Count);
    }

    [Theory]
    [InlineData("", null, PidNamespace.Types.Mode.Container)]
    [InlineData("/proc/9/ns/pid", null, PidNamespace.Types.Mode.Pod)]
    [InlineData(null, null, PidNamespace.Types.Mode.Pod)]
    [InlineData("/proc/9/ns/pid", "other", PidNamespace.Types.Mode.Target)]
    public void Pid_namespaces_are_translated(string? path, string? target, PidNamespace.Types.Mode mode)
    {
        RuntimeSpec spec = ShimUnderTest.Specification("true", target is null ? [] : [("io.hearth.pid-target", target)]) with
        {
            Linux = new LinuxSpec { Namespaces = path is null ? [] : [new() { Type = "pid", Path = path.Length == 0 ? null : path }] },
        };

        PidNamespace wanted = GuestSpec.From(spec, terminal: false).PidNamespace;

        Assert.Equal((mode, target ?? ""), (wanted.Mode, wanted.TargetContainerId));
    }

    [Fact]
    public void Devices_of_the_host_are_refused_unless_everything_was_asked_for()
    {
        DeviceSpec[] devices = [new() { Type = "c", Path = "/dev/fuse", Major = 10, Minor = 229 }, new() { Type = "b", Path = "/dev/sda", Major = 8 }];
        RuntimeSpec spec = ShimUnderTest.Specification("true") with { Linux = new LinuxSpec { Devices = devices } };
        TtrpcException refused = Assert.Throws<TtrpcException>(() => GuestSpec.From(spec, terminal: false));
        Assert.Equal((StatusCode.InvalidArgument, "The device /dev/sda (b 8:0) is the host's: the pod's machine has no such device."), (refused.Code, refused.Message));

        GuestSpec privileged = GuestSpec.From(spec with { Linux = spec.Linux! with { Resources = new ResourcesSpec { Devices = [new() { Allow = true, Access = "rwm" }] } } }, terminal: false);

        Assert.Equal("/dev/fuse", Assert.Single(privileged.Spec.Linux!.Devices).Path);
    }

    [Fact]
    public void User_namespaces_are_refused()
    {
        RuntimeSpec spec = ShimUnderTest.Specification("true") with { Linux = new LinuxSpec { UidMappings = [new() { Size = 1 }] } };

        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<TtrpcException>(() => GuestSpec.From(spec, terminal: false)).Code);
    }

    [Fact]
    public void A_machine_is_as_large_as_its_limits_ask_within_bounds()
    {
        var config = new MicrovmConfig { MaxVcpus = 4 };
        Assert.Equal(new MachineSize(1, 512), MachineSize.Of(ShimUnderTest.Specification(""), config));
        Assert.Equal(new MachineSize(2, 10 + 96), MachineSize.Of(150_000, null, 10 << 20, config));
        Assert.Equal(new MachineSize(4, 512), MachineSize.Of(long.MaxValue - 100_000, 100_000, -1, config));
        Assert.Equal(new MachineSize(1, 1 << 22), MachineSize.Of(1, 100_000, long.MaxValue, config));
        RuntimeSpec limited = ShimUnderTest.Specification("", ("io.hearth.memory-mib", "300")) with { Linux = new LinuxSpec { Resources = new ResourcesSpec { Cpu = new CpuSpec { Quota = 300, Period = 100 } } } };
        Assert.Equal(new MachineSize(3, 300), MachineSize.Of(limited, config));
        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<TtrpcException>(() => MachineSize.Of(ShimUnderTest.Specification("", ("io.hearth.vcpus", "5")), config)).Code);
        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<TtrpcException>(() => MachineSize.Of(ShimUnderTest.Specification("", ("io.hearth.vcpus", "two")), config)).Code);
    }

    [Fact]
    public void Addresses_of_streams_are_told_apart()
    {
        Assert.Equal((StreamKind.Fifo, "/a b%20"), Of("/a b%20"));
        Assert.Equal((StreamKind.Fifo, "/a"), Of("fifo:///a"));
        Assert.Equal((StreamKind.File, "/a b"), Of("file:///a%20b"));
        Assert.Equal((StreamKind.Cri, "/l"), Of("cri:///l"));
        Assert.Equal((StreamKind.Held, ""), Of("stream://"));
        Assert.Equal((StreamKind.None, ""), Of(""));
        Assert.Equal(["--id", "1 2", "flag"], StreamAddress.Parse("binary:///p?--id=1%202&flag").Arguments);
        foreach (string wrong in (string[])["a", "http:///a", "cri://a", "stream://a", "binary://", "file://", "/a\0b"])
        {
            Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<TtrpcException>(() => StreamAddress.Parse(wrong)).Code);
        }

        static (StreamKind, string) Of(string text) => (StreamAddress.Parse(text).Kind, StreamAddress.Parse(text).Path);
    }

    [Fact]
    public void A_bundle_says_which_pod_it_is_of()
    {
        Assert.Equal(new PodIdentity(BundleKind.Alone, "c"), PodIdentity.Of(ShimUnderTest.Specification(""), "c", "/not-there"));
        Assert.Equal(new PodIdentity(BundleKind.Alone, "q"), PodIdentity.Of(ShimUnderTest.Specification("", (SpecAnnotations.OwnPod, "q")), "c", "/not-there"));
        Assert.Equal(new PodIdentity(BundleKind.Sandbox, "p"), PodIdentity.Of(ShimUnderTest.Sandbox("p"), "p", "/not-there"));
        Assert.Equal(new PodIdentity(BundleKind.Member, "p"), PodIdentity.Of(ShimUnderTest.Member("p", ""), "c", "/not-there"));
        Assert.Equal(
            new PodIdentity(BundleKind.Member, "q"),
            PodIdentity.Of(ShimUnderTest.Specification("", ("io.kubernetes.cri-o.ContainerType", "container"), ("io.kubernetes.cri-o.SandboxID", "q")), "c", "/not-there"));
        Assert.Throws<HearthException>(() => PodIdentity.Of(ShimUnderTest.Specification("", ("io.kubernetes.cri.container-type", "container")), "c", "/not-there"));
        Assert.Throws<HearthException>(() => PodIdentity.Of(ShimUnderTest.Specification("", ("io.kubernetes.cri.container-type", "other")), "c", "/not-there"));
    }
}
