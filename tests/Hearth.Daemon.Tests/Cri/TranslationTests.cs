using Google.Protobuf;
using Hearth.Cri.Protocol;
using Hearth.Programs.Daemon.Cri;
using Hearth.Runtime.Pods;

namespace Hearth.Daemon.Tests.Cri;

/// <summary>Between CRI's words and the runtime's nothing is lost.</summary>
public class TranslationTests
{
    [Fact]
    public void A_container_that_has_everything_comes_back_with_everything()
    {
        var asked = new Hearth.Cri.Protocol.ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = "c", Attempt = 3 },
            Image = new ImageSpec { Image = "i", UserSpecifiedImage = "u", Annotations = { ["k"] = "v" } },
            Command = { "a" },
            Args = { "b" },
            WorkingDir = "/w",
            Envs = { new KeyValue { Key = "A", Value = ByteString.CopyFromUtf8("b=c") } },
            Mounts =
            {
                new Mount { ContainerPath = "/c", HostPath = "/h", Readonly = true, RecursiveReadOnly = true, Propagation = Hearth.Cri.Protocol.MountPropagation.PropagationHostToContainer, UidMappings = { new IDMapping { HostId = 1, ContainerId = 2, Length = 3 } } },
                new Mount { ContainerPath = "/i", Image = new ImageSpec { Image = "vol" }, ImageSubPath = "sub" },
            },
            Devices = { new Device { ContainerPath = "/dev/a", HostPath = "/dev/b", Permissions = "r" } },
            CDIDevices = { new CDIDevice { Name = "x/y=z" } },
            Labels = { ["l"] = "1" },
            Annotations = { ["a"] = "2" },
            LogPath = "c/0.log",
            Stdin = true,
            StdinOnce = true,
            Tty = true,
            StopSignal = Signal.Sigrtminplus3,
            Linux = new LinuxContainerConfig
            {
                Resources = new LinuxContainerResources { CpuPeriod = 1, CpuQuota = 2, CpuShares = 3, MemoryLimitInBytes = 4, OomScoreAdj = 5, CpusetCpus = "0", CpusetMems = "1", MemorySwapLimitInBytes = 6, HugepageLimits = { new HugepageLimit { PageSize = "2MB", Limit = 7 } }, Unified = { ["memory.high"] = "8" } },
                SecurityContext = new LinuxContainerSecurityContext
                {
                    Capabilities = new Capability { AddCapabilities = { "NET_ADMIN" }, DropCapabilities = { "ALL" }, AddAmbientCapabilities = { "CHOWN" } },
                    Privileged = true,
                    NamespaceOptions = new NamespaceOption { Pid = Hearth.Cri.Protocol.NamespaceMode.Target, TargetId = "t" },
                    RunAsUser = new Int64Value { Value = 0 },
                    RunAsGroup = new Int64Value { Value = 9 },
                    RunAsUsername = "n",
                    ReadonlyRootfs = true,
                    SupplementalGroups = { 10 },
                    SupplementalGroupsPolicy = Hearth.Cri.Protocol.SupplementalGroupsPolicy.Strict,
                    NoNewPrivs = true,
                    MaskedPaths = { "/m" },
                    ReadonlyPaths = { "/r" },
                    Seccomp = new Hearth.Cri.Protocol.SecurityProfile { ProfileType = Hearth.Cri.Protocol.SecurityProfile.Types.ProfileType.Localhost, LocalhostRef = "/p" },
                },
            },
        };

        Runtime.Pods.ContainerConfig config = FromCri.Container(asked);

        Assert.Equal(("c", 3u, "i", "u", "/w", "A=b=c", "c/0.log", "37"), (config.Name, config.Attempt, config.Image, config.UserSpecifiedImage, config.WorkingDir, config.Env.Single(), config.LogPath, config.StopSignal));
        Assert.Equal(("r", "x/y=z", true, true, true), (config.Devices.Single().Permissions, config.CdiDevices.Single(), config.Stdin, config.StdinOnce, config.Tty));
        ContainerSecurity security = config.Security;
        Assert.Equal((0L, 9L, "n", 10L, GroupsPolicy.Strict), (security.RunAsUser, security.RunAsGroup, security.RunAsUsername, security.SupplementalGroups.Single(), security.GroupsPolicy));
        Assert.Equal((true, true, true, "/m", "/r"), (security.Privileged, security.ReadonlyRoot, security.NoNewPrivileges, security.MaskedPaths.Single(), security.ReadonlyPaths.Single()));
        Assert.Equal(("NET_ADMIN", "ALL", "CHOWN"), (security.AddCapabilities.Single(), security.DropCapabilities.Single(), security.AddAmbientCapabilities.Single()));
        Assert.Equal((Runtime.Pods.NamespaceMode.Target, "t"), (security.Namespaces.Pid, security.Namespaces.TargetId));
        Assert.Equal((ProfileKind.Localhost, "/p"), (security.Seccomp!.Kind, security.Seccomp.LocalhostRef));
        Assert.False(security.Selinux);

        var container = new Runtime.Pods.Container
        {
            Id = "id",
            PodId = "pod",
            Config = config,
            ImageId = "sha256:1",
            ImageRef = "r",
            ImageManifest = "m",
            Phase = ContainerPhase.Exited,
            CreatedAt = DateTimeOffset.UnixEpoch.AddTicks(1),
            FinishedAt = DateTimeOffset.UnixEpoch.AddSeconds(2),
            ExitCode = 137,
            Reason = "OOMKilled",
            LogPath = "/log/c/0.log",
            Resources = config.Resources!,
            User = new ContainerIdentity { Uid = 1, Gid = 2, Groups = [3] },
            StopSignal = 37,
        };
        ContainerStatus status = ToCri.Status(container);
        Assert.Equal(asked.Mounts, status.Mounts);
        Assert.Equal(asked.Labels, status.Labels);
        Assert.Equal(asked.Annotations, status.Annotations);
        Assert.Equal(asked.Metadata, status.Metadata);
        Assert.Equal(asked.Image, status.Image);
        Assert.Equal(asked.Linux.Resources, status.Resources.Linux);
        Assert.Equal((100L, 0L, 2_000_000_000L, 137, "OOMKilled"), (status.CreatedAt, status.StartedAt, status.FinishedAt, status.ExitCode, status.Reason));
        Assert.Equal((Signal.Sigrtminplus3, ContainerState.ContainerExited, 3L), (status.StopSignal, status.State, status.User.Linux.SupplementalGroups.Single()));
    }

    [Fact]
    public void A_pod_that_has_everything_comes_back_with_everything()
    {
        var asked = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = "n", Uid = "u", Namespace = "ns", Attempt = 2 },
            Hostname = "h",
            LogDirectory = "/l",
            DnsConfig = new DNSConfig { Servers = { "1.1.1.1" }, Searches = { "s" }, Options = { "o" } },
            PortMappings = { new PortMapping { Protocol = Protocol.Sctp, ContainerPort = 1, HostPort = 2, HostIp = "3" } },
            Labels = { ["l"] = "1" },
            Annotations = { ["a"] = "2" },
            Linux = new LinuxPodSandboxConfig
            {
                CgroupParent = "/c",
                Sysctls = { ["net.a"] = "1" },
                Overhead = new LinuxContainerResources { CpuQuota = 5 },
                SecurityContext = new LinuxSandboxSecurityContext { NamespaceOptions = new NamespaceOption { Network = Hearth.Cri.Protocol.NamespaceMode.Node, Pid = Hearth.Cri.Protocol.NamespaceMode.Container }, Privileged = true },
            },
        };

        Runtime.Pods.PodConfig config = FromCri.Pod(asked);
        var pod = new Pod { Id = "id", Config = config, Handler = "oci", AskedHandler = "oci", Phase = PodPhase.Ready, Ips = ["10.0.0.1", "fd00::1"] };
        PodSandboxStatus status = ToCri.Status(pod);

        Assert.Equal((PortProtocol.Sctp, 1, 2, "3"), (config.Ports[0].Protocol, config.Ports[0].ContainerPort, config.Ports[0].HostPort, config.Ports[0].HostIp));
        Assert.Equal(("h", "/l", "/c", "1", 5L, true), (config.Hostname, config.LogDirectory, config.CgroupParent, config.Sysctls["net.a"], config.Overhead!.CpuQuota, config.Security.Privileged));
        Assert.Null(config.Resources);
        Assert.Equal(("1.1.1.1", "s", "o"), (config.Dns!.Servers[0], config.Dns.Searches[0], config.Dns.Options[0]));
        Assert.Equal(asked.Metadata, status.Metadata);
        Assert.Equal(asked.Labels, status.Labels);
        Assert.Equal(asked.Annotations, status.Annotations);
        Assert.Equal(asked.Linux.SecurityContext.NamespaceOptions, status.Linux.Namespaces.Options);
        Assert.Equal(("10.0.0.1", "fd00::1", "oci", PodSandboxState.SandboxReady), (status.Network.Ip, status.Network.AdditionalIps.Single().Ip, status.RuntimeHandler, status.State));
    }

    [Fact]
    public void Signals_have_Linuxs_numbers()
    {
        Assert.Equal("", Signals.Number(Signal.RuntimeDefault));
        Assert.Equal(("9", "15", "6", "6", "17", "29"), (Signals.Number(Signal.Sigkill), Signals.Number(Signal.Sigterm), Signals.Number(Signal.Sigabrt), Signals.Number(Signal.Sigiot), Signals.Number(Signal.Sigcld), Signals.Number(Signal.Sigpoll)));
        Assert.Equal(("34", "64"), (Signals.Number(Signal.Sigrtmin), Signals.Number(Signal.Sigrtmax)));
        foreach (Signal signal in Enum.GetValues<Signal>().Where(static signal => signal is not (Signal.RuntimeDefault or Signal.Sigcld or Signal.Sigiot or Signal.Sigpoll)))
        {
            Assert.Equal(signal, Signals.FromNumber(int.Parse(Signals.Number(signal))));
        }
    }
}
