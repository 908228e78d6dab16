using System.Diagnostics;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Programs.Oci;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;
using ContainerState = Hearth.Programs.Oci.ContainerState;

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
    public async Task A_container_of_the_same_network_namespace_is_found_while_its_process_lives_or_its_machine()
    {
        var states = new StateFolder(_folder);
        using Process child = Process.Start(new ProcessStartInfo("sleep", ["1000"]))!;
        states.Reserve("infra");
        states.Write(State("infra", child));

        Assert.Equal("infra", (await PodSharing.FindAsync(states, "/proc/self/ns/net"))?.PodId);
        // Another namespace, although of another kind: numbers are told apart, not names.
        Assert.Null(await PodSharing.FindAsync(states, "/proc/self/ns/mnt"));
        child.Kill();
        await child.WaitForExitAsync();
        Assert.Null(await PodSharing.FindAsync(states, "/proc/self/ns/net"));

        // CRI-O without an infra container: one that has ended is not removed before the next one is made.
        string socket = Path.Combine(_folder, "shim.sock");
        var status = new PodStatus { Ready = true };
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        listener.Listen();
        Task serving = Task.Run(async () =>
        {
            for (int i = 0; i < 2; i++)
            {
                await using var stream = new NetworkStream(await listener.AcceptAsync(), ownsSocket: true);
                await new TtrpcServer(new TtrpcService(TaskServices.Pod).Unary("Status", Empty.Parser, (_, _) => Task.FromResult(status))).ServeAsync(stream);
            }
        });
        states.Write(states.Read("infra") with { Shim = socket });
        Assert.Equal("infra", (await PodSharing.FindAsync(states, "/proc/self/ns/net"))?.PodId);
        Assert.Null(await PodSharing.FindAsync(states, "/proc/self/ns/mnt"));
        status = new PodStatus { Ready = false };
        Assert.Null(await PodSharing.FindAsync(states, "/proc/self/ns/net"));
        await serving.WaitAsync(TimeSpan.FromSeconds(30));
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

        Assert.Equal([KeyValuePair.Create("io.hearth.limits-cgroup", "true"), KeyValuePair.Create("io.hearth.pod-id", "p"), KeyValuePair.Create("kept", "z")], Sorted(joins: false));
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
        Network = Namespaces.InodeOf("/proc/self/ns/net"),
        Pid = standIn.Id,
        PidStart = HostProcess.StartOf(standIn.Id),
        OciVersion = "1.2.0",
        Created = DateTimeOffset.UnixEpoch,
    };
}
