using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Containers;

namespace Hearth.Cli.Tests;

public sealed class RunRequestTests
{
    [Fact]
    public void Everything_after_the_image_is_the_containers_command_line()
    {
        RunOptions options = RunCommand.Parse("-it", "--rm", "-e", "A=1", "busybox", "sh", "-c", "echo $A", "-e", "--rm", "@file");

        Assert.Equal("busybox", options.Image);
        Assert.Equal(["sh", "-c", "echo $A", "-e", "--rm", "@file"], options.Command);
        Assert.True(options is { Interactive: true, Tty: true, Remove: true, Detach: false });
        Assert.Equal(["A=1"], options.Environment);
    }

    [Fact]
    public void An_image_without_a_command_has_none() => Assert.Empty(RunCommand.Parse("busybox").Command);

    [Fact]
    public void Dockers_options_become_cris_fields()
    {
        using var here = new TemporaryFolder();
        RunOptions options = RunCommand.Parse(
            "--name", "web", "-v", $"{here.Path}:/data:ro", "-p", "127.0.0.1:8080:80", "-p", "53:53/udp", "--cpus", "1.5", "-m", "256m", "--entrypoint", "/bin/x",
            "-u", "1000:100", "-w", "/srv", "--read-only", "--cap-add", "cap_net_admin", "--cap-drop", "ALL", "-l", "a=b", "--hostname", "h", "img", "arg");

        PodSandboxConfig pod = RunRequests.Pod(options, "the-uid", "/logs");
        ContainerConfig container = RunRequests.Container(options);

        Assert.Equal(("web", "the-uid", "hearth"), (pod.Metadata.Name, pod.Metadata.Uid, pod.Metadata.Namespace));
        Assert.Equal(("h", "/logs"), (pod.Hostname, pod.LogDirectory));
        Assert.Equal("true", pod.Labels[RunRequests.OwnPodLabel]);
        Assert.Equal([(80, 8080, "127.0.0.1", Protocol.Tcp), (53, 53, "", Protocol.Udp)], pod.PortMappings.Select(port => (port.ContainerPort, port.HostPort, port.HostIp, port.Protocol)));
        Assert.Equal((150_000, 100_000, 256L << 20), (pod.Linux.Resources.CpuQuota, pod.Linux.Resources.CpuPeriod, pod.Linux.Resources.MemoryLimitInBytes));
        Assert.Equal(pod.Linux.Resources, container.Linux.Resources);

        Assert.Equal(["/bin/x"], container.Command);
        Assert.Equal(["arg"], container.Args);
        Assert.Equal("/srv", container.WorkingDir);
        Assert.Equal("b", container.Labels["a"]);
        Mount mount = Assert.Single(container.Mounts);
        Assert.Equal((here.Path, "/data", true), (mount.HostPath, mount.ContainerPath, mount.Readonly));
        LinuxContainerSecurityContext security = container.Linux.SecurityContext;
        Assert.Equal((1000, 100), (security.RunAsUser.Value, security.RunAsGroup.Value));
        Assert.True(security.ReadonlyRootfs);
        Assert.Equal(["NET_ADMIN"], security.Capabilities.AddCapabilities);
        Assert.Equal(["ALL"], security.Capabilities.DropCapabilities);
        Assert.Contains("/proc/kcore", security.MaskedPaths);
        Assert.Equal(SecurityProfile.Types.ProfileType.RuntimeDefault, security.Seccomp.ProfileType);
    }

    [Fact]
    public void A_privileged_container_is_neither_masked_nor_filtered()
    {
        ContainerConfig container = RunRequests.Container(RunCommand.Parse("--privileged", "img"));

        Assert.True(container.Linux.SecurityContext.Privileged);
        Assert.Empty(container.Linux.SecurityContext.MaskedPaths);
        Assert.Equal(SecurityProfile.Types.ProfileType.Unconfined, container.Linux.SecurityContext.Seccomp.ProfileType);
    }

    [Theory]
    [InlineData("-d --rm img", "-d leaves")]
    [InlineData("-w data img", "absolute")]
    [InlineData("--name ../x img", "is no name")]
    public void What_cannot_be_meant_is_refused(string line, string because) =>
        Assert.Contains(because, Assert.Throws<CommandLineException>(() => RunCommand.Parse(line.Split(' '))).Message);

    [Theory]
    [InlineData("-e =x img")]
    [InlineData("-v /data img")]
    [InlineData("-v name:/data img")]
    [InlineData("-v /there/is/no/such:/data img")]
    [InlineData("-p 80 img")]
    [InlineData("-p 80:0 img")]
    [InlineData("-p 1:2:3:4 img")]
    [InlineData("-p 80:80/icmp img")]
    [InlineData("--cpus 0 img")]
    [InlineData("--cpus many img")]
    [InlineData("-m 12q img")]
    [InlineData("-m -1 img")]
    [InlineData("-u :5 img")]
    [InlineData("-u root:wheel img")]
    public void Malformed_options_are_told_with_what_would_be_right(string line)
    {
        RunOptions options = RunCommand.Parse(line.Split(' '));

        CommandLineException e = Assert.Throws<CommandLineException>(() =>
        {
            RunRequests.Pod(options, "u", "/l");
            RunRequests.Container(options);
        });
        Assert.Matches("[Ww]rite|Give|Make", e.Message);
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("4k", 4096)]
    [InlineData("1.5g", 3L << 29)]
    [InlineData("1Gi", 1L << 30)]
    [InlineData("1GiB", 1L << 30)]
    [InlineData("512MB", 512L << 20)]
    [InlineData("100b", 100)]
    public void Amounts_of_memory_have_units(string text, long bytes) => Assert.Equal(bytes, Shorthand.Bytes(text));

    [Theory]
    [InlineData("[::1]:8080:80", "::1")]
    [InlineData("0.0.0.0:8080:80", "0.0.0.0")]
    [InlineData("8080:80", "")]
    public void Ports_have_addresses(string text, string address) => Assert.Equal((address, 8080, 80), (Shorthand.Port(text).HostIp, Shorthand.Port(text).HostPort, Shorthand.Port(text).ContainerPort));

    [Theory]
    [InlineData("TERM", 15)]
    [InlineData("sigusr1", 10)]
    [InlineData("9", 9)]
    [InlineData("RTMIN+3", 37)]
    [InlineData("SIGRTMAX-1", 63)]
    [InlineData("SYS", 31)]
    public void Signals_have_names(string text, uint number) => Assert.Equal(number, SignalNames.Parse(text));

    [Theory]
    [InlineData("0")]
    [InlineData("65")]
    [InlineData("NOPE")]
    [InlineData("RTMIN+31")]
    public void What_is_no_signal_is_refused(string text) => Assert.Throws<CommandLineException>(() => SignalNames.Parse(text));

    [Theory]
    [InlineData("exec /nope: no such file or directory", 127)]
    [InlineData("exec /etc/passwd: permission denied", 126)]
    [InlineData("the machine did not start", 125)]
    public void A_command_that_cannot_be_started_has_dockers_status(string message, int status) => Assert.Equal(status, ExitStatus.OfMessage(message));

    [Fact]
    public void An_exec_that_differs_from_its_container_is_hearthds_own_call()
    {
        Assert.Null(ExecCommand.Different(new ExecRequest(), [], null, null));
        ExecProcessRequest different = ExecCommand.Different(new ExecRequest { ContainerId = "c" }, ["A=1"], "/srv", "daemon")!;
        Assert.Equal(("c", "/srv", "daemon", "A=1"), (different.Exec.ContainerId, different.WorkingDirectory, different.User, Assert.Single(different.Environment)));
    }
}
