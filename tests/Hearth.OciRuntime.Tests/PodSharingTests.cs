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
        states.Write(State("infra", child));

        Assert.Equal("infra", PodSharing.Find(states, "/proc/self/ns/net")?.PodId);
        // Another namespace, although of another kind: numbers are told apart, not names.
        Assert.Null(PodSharing.Find(states, "/proc/self/ns/mnt"));
        child.Kill();
        child.WaitForExit();
        Assert.Null(PodSharing.Find(states, "/proc/self/ns/net"));
    }

    /// <summary>The processes that stand for containers have this host's namespaces: Podman's pods name them, and mean those of the machine.</summary>
    [Fact]
    public void Namespaces_of_a_container_are_shared_in_its_machine_and_in_no_other()
    {
        var states = new StateFolder(_folder);
        using Process child = Process.Start(new ProcessStartInfo("sleep", ["1000"]))!;
        states.Reserve("infra");
        states.Write(State("infra", child));
        ContainerState companion = states.Read("infra");
        foreach (string kind in (string[])["pid", "ipc", "uts"])
        {
            var spec = new RuntimeSpec
            {
                Linux = new LinuxSpec
                {
                    Namespaces = [.. ((string[])["pid", "ipc", "uts"]).Select(one => new NamespaceSpec { Type = one, Path = one == kind ? $"/proc/{child.Id}/ns/{one}" : null })],
                },
            };
            HostNamespaces.Check(spec, states, companion);
            foreach (ContainerState? other in (ContainerState?[])[null, companion with { PodId = "other" }])
            {
                OciException e = Assert.Throws<OciException>(() => HostNamespaces.Check(spec, states, other));
                Assert.StartsWith($"The container is to share the {kind} namespace of the container infra, which is not in its machine", e.Message);
            }
        }

        child.Kill();
        child.WaitForExit();
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

    private static ContainerState State(string id, Process standIn) => new()
    {
        Id = id,
        Bundle = "/b",
        Shim = "/s.sock",
        PodId = id,
        Pid = standIn.Id,
        PidStart = HostProcess.StartOf(standIn.Id),
        OciVersion = "1.2.0",
        Created = DateTimeOffset.UnixEpoch,
    };
}
