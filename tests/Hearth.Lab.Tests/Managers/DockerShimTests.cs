using System.Diagnostics;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>A Docker that knows containerd's runtimes (23 and later), and finds our shim on its PATH.</summary>
public sealed class DockerShimLab : DockerLab
{
    internal override string Runtime => ContainerdLab.Runtime;

    private string Programs => Path.Combine(Folder, "bin");

    private protected override void StartManager()
    {
        Directory.CreateDirectory(Programs);
        File.CreateSymbolicLink(Path.Combine(Programs, "containerd-shim-hearth-v2"), Lab.Program("hearth-shim"));
        base.StartManager();
    }

    private protected override void Prepare(ProcessStartInfo start)
    {
        base.Prepare(start);
        start.Environment["PATH"] = $"{Programs}:{Environment.GetEnvironmentVariable("PATH")}";
    }
}

/// <summary>Docker of Debian 13 runs containers in our machines by its containerd and our shim, without a line of configuration.</summary>
public sealed class DockerShimTests(DockerShimLab lab) : DockerRuntimeTests(lab), IClassFixture<DockerShimLab>
{
    [Fact]
    public void A_container_in_two_networks_is_in_both()
    {
        Docker.Ready();
        HostState before = Docker.Count();
        Docker.Ok("network", "create", "one");
        Docker.Ok("network", "create", "two");
        Docker.Ok("run", "-d", "--name", "both", "--runtime", Docker.Runtime, "--network", "one", "--network", "two", Docker.Busybox, "sh", "-c", Service);

        Assert.Equal(2, LinksOf("both"));
        Reaches("both", "one");
        Reaches("both", "two");
        // By Docker's resolver, which is on the host.
        Assert.Contains(AddressOf("both", "one"), Docker.Ok("exec", "both", "nslookup", "both"));

        Docker.Ok("rm", "-f", "both");
        Docker.Ok("network", "rm", "one", "two");
        Docker.NothingLeft(before, Docker.IsDockers);
    }
}
