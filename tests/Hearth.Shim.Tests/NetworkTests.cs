using System.Net;
using Hearth.Oci.Runtime;

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
        RuntimeSpec Asking(RuntimeSpec spec) => spec with { Mounts = [.. spec.Mounts, new() { Destination = "/etc/resolv.conf", Type = "bind", Source = file, Options = ["rbind", "ro"] }] };

        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "exec sleep 1000"));
        Assert.Empty(shim.Machine!.NamesServed);

        await shim.StartAsync("b", Asking(ShimUnderTest.Member("p", "exec sleep 1000")));
        await shim.StartAsync("c", Asking(ShimUnderTest.Member("p", "exec sleep 1000")));

        IPAddress resolver = IPAddress.Parse("127.0.0.11");
        Assert.Equal([resolver, resolver], shim.Machine.NamesServed);
    }
}
