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

        Assert.Equal([KeyValuePair.Create("io.hearth.pod-id", "p"), KeyValuePair.Create("kept", "z")], Sorted(joins: false));
        Assert.Equal([KeyValuePair.Create(Kind, "container"), KeyValuePair.Create(Pod, "p"), KeyValuePair.Create("kept", "z")], Sorted(joins: true));

        IEnumerable<KeyValuePair<string, string>> Sorted(bool joins) => PodSharing.Describe(spec, "p", joins).Annotations!.OrderBy(static pair => pair.Key, StringComparer.Ordinal);
    }

    /// <summary>The machine of a removed container goes on for those that joined it: one that is made again under its id gets another.</summary>
    [Fact]
    public void A_pod_that_goes_on_without_its_first_container_keeps_its_id_and_what_was_left_to_it()
    {
        var states = new StateFolder(_folder);
        using var self = Process.GetCurrentProcess();
        ContainerState first = State("x", self);
        foreach (ContainerState one in (ContainerState[])[first, State("y", self) with { PodId = "x" }, State("z", self)])
        {
            states.Reserve(one.Id);
            states.Write(one);
        }

        states.PassOn(first with { LeftCgroups = ["/a"] }, ["/a", "/b"]);
        states.Remove("x");

        Assert.Equal(["/a", "/b"], states.Read("y").LeftCgroups);
        Assert.Empty(states.Read("z").LeftCgroups);
        Assert.Equal("x-2", PodSharing.NewPodId(states, "x"));
        states.Reserve("x");
        states.Write(first with { PodId = "x-2" });
        Assert.Equal("x-3", PodSharing.NewPodId(states, "x"));
        states.Remove("y");
        Assert.Equal("x", PodSharing.NewPodId(states, "x"));
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
