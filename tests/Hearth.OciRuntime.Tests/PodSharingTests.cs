using System.Diagnostics;
using Hearth.Oci.Runtime;
using Hearth.Programs.Oci;

namespace Hearth.OciRuntime.Tests;

/// <summary>Which containers get into which machine.</summary>
public sealed class PodSharingTests : IDisposable
{
    private const string Kind = "io.kubernetes.cri.container-type";
    private const string Pod = "io.kubernetes.cri.sandbox-id";

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-oci-").FullName;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_container_of_the_same_network_namespace_is_found_while_its_process_lives()
    {
        var states = new StateFolder(_folder);
        using Process child = Process.Start(new ProcessStartInfo("sleep", ["1000"]))!;
        states.Reserve("infra");
        states.Write(new ContainerState
        {
            Id = "infra",
            Bundle = "/b",
            Shim = "/s.sock",
            PodId = "infra",
            Pid = child.Id,
            PidStart = HostProcess.StartOf(child.Id),
            OciVersion = "1.2.0",
            Created = DateTimeOffset.UnixEpoch,
        });

        Assert.Equal("infra", PodSharing.Find(states, "/proc/self/ns/net")?.PodId);
        // Another namespace, although of another kind: numbers are told apart, not names.
        Assert.Null(PodSharing.Find(states, "/proc/self/ns/mnt"));
        child.Kill();
        child.WaitForExit();
        Assert.Null(PodSharing.Find(states, "/proc/self/ns/net"));
    }

    [Fact]
    public void Annotations_say_whose_pod_it_is_whatever_the_manager_wrote()
    {
        var spec = new RuntimeSpec
        {
            Annotations = new Dictionary<string, string> { ["io.kubernetes.cri-o.ContainerType"] = "sandbox", ["io.kubernetes.cri-o.SandboxID"] = "x", [Kind] = "container", [Pod] = "y", ["kept"] = "z" },
        };

        Assert.Equal([KeyValuePair.Create("kept", "z")], PodSharing.Describe(spec, null).Annotations);
        Assert.Equal(
            [KeyValuePair.Create(Kind, "container"), KeyValuePair.Create(Pod, "p"), KeyValuePair.Create("kept", "z")],
            PodSharing.Describe(spec, "p").Annotations!.OrderBy(static pair => pair.Key, StringComparer.Ordinal));
    }
}
