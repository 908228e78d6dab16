using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Linux.Netlink;
using Hearth.Network;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;

namespace Hearth.Shim.Tests;

/// <summary>What the shim asks of a pod's machine for its network, and when.</summary>
public sealed class NetworkTests
{
    /// <summary>Hooks make it before the container is made (nerdctl, Docker before 28), or the manager before it is started.</summary>
    [Fact]
    public async Task A_network_that_comes_later_is_looked_for_after_the_hooks_and_before_the_start()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");

        await shim.CreateAsync("c", ShimUnderTest.Specification("true"));
        Assert.Equal((2, 1), (shim.Machine!.Options.SpareInterfaces, shim.Machine.NetworkJoined));

        await shim.Client.StartAsync("c");
        Assert.Equal(2, shim.Machine.NetworkJoined);
    }

    /// <summary>As <c>docker network connect</c> does it, to a container that runs; and whatever comes of it, the machine's end is told.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_network_that_changes_while_a_container_runs_is_followed_and_so_is_its_resolver(bool fails)
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        string space = NetworkNamespace.Create(Path.Combine(shim.Folder, "spaces"), "pod");
        try
        {
            string file = Path.Combine(shim.Folder, "resolv.conf");
            File.WriteAllText(file, "nameserver 192.0.2.1\n");
            await shim.CreateAsync("c", Asking(ShimUnderTest.Specification("exec sleep 1000"), file));
            TestMachine machine = shim.Machine!;
            machine.Network = space;
            await shim.Client.StartAsync("c");
            int joined = machine.NetworkJoined;
            Assert.Empty(machine.NamesServed);

            File.WriteAllText(file, "nameserver 127.0.0.11\n");
            machine.ServingNames = fails ? Task.FromException(new SocketException()) : Task.CompletedTask;
            for (int mtu = 1400; mtu < 1402; mtu++)
            {
                ChangeMtu(space, mtu);
                for (var waited = Stopwatch.StartNew(); machine.NetworkJoined == joined && waited.Elapsed < ShimUnderTest.Deadline;)
                {
                    await Task.Delay(10);
                }

                // Again, after a failure too.
                Assert.True(machine.NetworkJoined > joined);
                joined = machine.NetworkJoined;
            }

            Assert.Contains(IPAddress.Parse("127.0.0.11"), machine.NamesServed);
            machine.Kill();
            Assert.Equal(137u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        }
        finally
        {
            NetworkNamespace.Remove(space);
        }
    }

    [Fact]
    public async Task What_is_wrong_with_the_network_is_an_error_of_who_brings_it_and_not_of_who_joins()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        shim.Machine!.JoiningNetwork = Task.FromException(new HearthException("too many"));
        new PodIdentity(BundleKind.Member, "c").Choose(shim.Bundle("joined", ShimUnderTest.Specification("")));
        await shim.StartAsync("joined", ShimUnderTest.Specification("exec sleep 1000"));

        await using ShimUnderTest first = await ShimUnderTest.StartAsync("f");
        await first.CreateAsync("f", ShimUnderTest.Specification("true"));
        first.Machine!.JoiningNetwork = shim.Machine.JoiningNetwork;
        Assert.Contains("too many", (await ShimUnderTest.RefusedAsync(() => first.Client.StartAsync("f"))).Message);
    }

    /// <summary>As <c>docker run --network container:NAME --pid host</c>, and the like.</summary>
    [Theory]
    [InlineData("pid", null, "the host's processes")]
    [InlineData("uts", "/proc/self/ns/uts", "the host's hostname")]
    [InlineData("pid", "/proc/1000000000/ns/pid", "is not in its machine")]
    public async Task Who_joins_by_the_network_shares_nothing_else_with_others(string kind, string? path, string because)
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        RuntimeSpec spec = ShimUnderTest.Specification("exec sleep 1000");
        RuntimeSpec With(string? of) => spec with { Linux = spec.Linux! with { Namespaces = [.. spec.Linux.Namespaces.Where(one => one.Type != kind), .. of is null ? (NamespaceSpec[])[] : [new() { Type = kind, Path = of }]] } };

        new PodIdentity(BundleKind.Member, "c").Choose(shim.Bundle("joined", spec));
        Assert.Contains(because, (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("joined", With(path)))).Message);
        await shim.StartAsync("joined", With($"/proc/{shim.Machine!.MonitorPid}/ns/{kind}"));
    }

    [Fact]
    public async Task A_pod_of_CRI_has_its_network_from_the_start()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");

        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));

        Assert.Equal(0, shim.Machine!.Options.SpareInterfaces);
    }

    /// <summary>The first one may be alone in Docker's default network, which has no resolver, or have failed.</summary>
    [Fact]
    public async Task Each_container_that_needs_Dockers_resolver_asks_for_it_whichever_came_before()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        string file = Path.Combine(shim.Folder, "resolv.conf");
        File.WriteAllText(file, "nameserver 127.0.0.11\n");

        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "exec sleep 1000"));
        Assert.Empty(shim.Machine!.NamesServed);

        await shim.StartAsync("b", Asking(ShimUnderTest.Member("p", "exec sleep 1000"), file));
        await shim.StartAsync("c", Asking(ShimUnderTest.Member("p", "exec sleep 1000"), file));

        IPAddress resolver = IPAddress.Parse("127.0.0.11");
        Assert.Equal([resolver, resolver], shim.Machine.NamesServed);
    }

    private static RuntimeSpec Asking(RuntimeSpec spec, string file) =>
        spec with { Mounts = [.. spec.Mounts, new() { Destination = "/etc/resolv.conf", Type = "bind", Source = file, Options = ["rbind", "ro"] }] };

    private static void ChangeMtu(string space, int mtu) => NetworkNamespace.Run(space, () =>
    {
        using var routes = new RouteSocket();
        routes.SetMtu(RouteSocket.IndexOf("lo"), (uint)mtu);
        return true;
    });
}
