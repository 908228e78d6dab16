using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.OciPods;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests.OciPods;

public sealed class OciSpecsTests
{
    private static readonly RuntimeSpec s_spec = new()
    {
        Process = new ProcessSpec { Args = ["true"] },
        Root = new RootSpec { Path = "rootfs", Readonly = true },
        Hostname = "name",
        Mounts =
        [
            new MountSpec { Destination = "/dev/shm", Type = "bind", Source = "/pod/shm", Options = ["rbind"] },
            new MountSpec { Destination = "/volume", Type = "erofs", Source = "/image" },
        ],
        Linux = new LinuxSpec
        {
            Resources = new ResourcesSpec { Devices = [new DeviceRuleSpec { Allow = false, Access = "rwm" }] },
            Sysctl = new Dictionary<string, string> { ["net.core.somaxconn"] = "7" },
        },
    };

    [Fact]
    public void A_pod_of_its_own_joins_what_its_holder_holds()
    {
        RuntimeSpec spec = Complete(new NamespaceOptions(), new NamespaceOptions());

        Assert.Equal(
            ["cgroup=", "ipc=/proc/42/ns/ipc", "mount=", "network=/netns/pod", "pid=/proc/42/ns/pid", "uts=/proc/42/ns/uts"],
            spec.Linux!.Namespaces.Select(static space => $"{space.Type}={space.Path}").Order());
        Assert.Equal("/hearth/pod/container", spec.Linux.CgroupsPath);
        Assert.Equal(("/folder/rootfs", true), (spec.Root!.Path, spec.Root.Readonly));
        // The name is set where the namespace is made; so are sysctls.
        Assert.Null(spec.Hostname);
        Assert.Null(spec.Linux.Sysctl);
    }

    [Theory]
    [InlineData(NamespaceMode.Container, "pid=")]
    [InlineData(NamespaceMode.Target, "pid=/proc/77/ns/pid")]
    [InlineData(NamespaceMode.Node, null)]
    public void A_container_has_the_processes_it_asks_for(NamespaceMode pid, string? expected)
    {
        RuntimeSpec spec = Complete(new NamespaceOptions(), new NamespaceOptions { Pid = pid });

        Assert.Equal(expected, spec.Linux!.Namespaces.Where(static space => space.Type == "pid").Select(static space => $"{space.Type}={space.Path}").SingleOrDefault());
    }

    [Fact]
    public void Host_namespaces_are_not_left_and_shared_memory_is_the_hosts()
    {
        var host = new NamespaceOptions { Network = NamespaceMode.Node, Pid = NamespaceMode.Node, Ipc = NamespaceMode.Node };
        RuntimeSpec spec = Complete(host, host, privileged: true);

        Assert.Equal(["mount"], spec.Linux!.Namespaces.Select(static space => space.Type));
        Assert.Equal("/dev/shm", spec.Mounts[0].Source);
        Assert.Contains(spec.Linux.Devices, static device => device.Path == "/dev/null");
        Assert.DoesNotContain(spec.Linux.Devices, static device => device.Path.StartsWith("/dev/pts", StringComparison.Ordinal));
    }

    [Fact]
    public void An_image_volume_is_mounted_from_where_the_host_has_it()
    {
        RuntimeSpec spec = Complete(new NamespaceOptions(), new NamespaceOptions());

        Assert.Equal(("bind", "/mounted"), (spec.Mounts[1].Type, spec.Mounts[1].Source));
        Assert.Contains("ro", spec.Mounts[1].Options);
    }

    [Fact]
    public void A_device_of_the_host_comes_with_its_rule()
    {
        RuntimeSpec spec = Complete(
            new NamespaceOptions(), new NamespaceOptions(), devices: [new ContainerDevice { HostPath = "/dev/zero", ContainerPath = "/dev/mine", Permissions = "r" }]);

        DeviceSpec device = Assert.Single(spec.Linux!.Devices);
        Assert.Equal(("c", "/dev/mine", 1L, 5L), (device.Type, device.Path, device.Major, device.Minor));
        Assert.Equal(new DeviceRuleSpec { Allow = true, Type = "c", Major = 1, Minor = 5, Access = "r" }, spec.Linux.Resources!.Devices[^1]);
        Assert.Throws<PodException>(() => Complete(new NamespaceOptions(), new NamespaceOptions(), devices: [new ContainerDevice { HostPath = "/dev/none", ContainerPath = "/x" }]));
    }

    [Theory]
    [InlineData("2026-11-25T23:17:07.000001Z: executable file `x` not found in $PATH: No such file or directory\n", "executable file `x` not found in $PATH: No such file or directory")]
    [InlineData("time=\"2026-11-25T23:17:07Z\" level=error msg=\"exec: \\\"x\\\": not found\"\n", "exec: \"x\": not found")]
    [InlineData("one\ntwo: three\n\n", "two: three")]
    [InlineData("", "it said nothing")]
    public void Runtimes_words_are_told_without_what_is_around_them(string said, string told) => Assert.Equal(told, OciRuntimeProgram.Tidy(said));

    [Theory]
    [InlineData("", "/hearth/pod")]
    [InlineData("/kubepods/burstable/podx", "/kubepods/burstable/podx/pod")]
    [InlineData("kubepods/", "/kubepods/pod")]
    public void A_pods_cgroup_is_below_its_parent(string parent, string path) => Assert.Equal(path, new OciCgroup(parent, "pod").Path);

    private static RuntimeSpec Complete(NamespaceOptions pod, NamespaceOptions container, bool privileged = false, IReadOnlyList<ContainerDevice>? devices = null)
    {
        var config = new ContainerConfig
        {
            Name = "c",
            Image = "i",
            Security = new ContainerSecurity { Namespaces = container, Privileged = privileged },
            Devices = devices ?? [],
        };
        var launch = new ContainerLaunch
        {
            Container = new Container { Id = "container", PodId = "pod", Config = config, ImageId = "", ImageRef = "", ImageManifest = "" },
            Folder = "/folder",
            Spec = s_spec,
            Image = null!,
        };
        var record = new Pod
        {
            Id = "pod",
            Handler = "oci",
            NetworkNamespace = "/netns/pod",
            Config = new PodConfig { Metadata = new PodMetadata { Name = "p" }, Security = new PodSecurity { Namespaces = pod } },
        };
        return OciSpecs.Complete(launch, record, new OciCgroup("", "pod"), 42, 77, new Dictionary<string, string> { ["/volume"] = "/mounted" });
    }
}
