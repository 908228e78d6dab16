using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests;

/// <summary>In whose machine a container goes whose manager has no pods.</summary>
public sealed class PodChoiceTests : IDisposable
{
    private const string OwnNetwork = "/proc/self/ns/net";

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-choice-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Who_is_in_the_network_of_a_machine_of_the_same_manager_is_in_that_machine()
    {
        MakePod("first", Namespaces.InodeOf(OwnNetwork));
        MakePod("other", Namespaces.InodeOf(OwnNetwork) + 1);
        Directory.CreateDirectory(Path.Combine(_folder, "pods", "foreign"));
        new MachineRecord { PodId = "second", NetworkInode = Namespaces.InodeOf(OwnNetwork) }.Write(Path.Combine(_folder, "pods", "foreign", "machine.json"));

        // Its shim does not live (any more), or it is another manager's.
        Assert.Equal(new PodIdentity(BundleKind.Alone, "second"), PodChoice.Of("second", OwnNetwork, PathsOf));
        using (UnixListener.Bind(PathsOf("second").Socket, 1))
        {
            Assert.Equal(new PodIdentity(BundleKind.Alone, "second"), PodChoice.Of("second", OwnNetwork, PathsOf));
        }

        using (UnixListener.Bind(PathsOf("first").Socket, 1))
        {
            Assert.Equal(new PodIdentity(BundleKind.Member, "first"), PodChoice.Of("second", OwnNetwork, PathsOf));
            Assert.Equal(new PodIdentity(BundleKind.Alone, "second"), PodChoice.Of("second", null, PathsOf));
            Assert.Equal(new PodIdentity(BundleKind.Alone, "second"), PodChoice.Of("second", "/proc/self/ns/net-not-there", PathsOf));
        }
    }

    /// <summary>Docker stops a container that others have joined, and starts it again under its id.</summary>
    [Fact]
    public async Task Who_starts_again_while_the_others_go_on_is_in_a_machine_of_its_own()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        ShimPaths Paths(string pod) => pod == "c" ? ShimPaths.OfSocket(Path.Combine(shim.Folder, "task")) : PathsOf(pod);
        Assert.Equal(new PodIdentity(BundleKind.Alone, "c"), PodChoice.Of("c", null, Paths));
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        Assert.Equal(new PodIdentity(BundleKind.Alone, "c"), PodChoice.Of("c", null, Paths));

        new PodIdentity(BundleKind.Member, "c").Choose(shim.Bundle("joined", ShimUnderTest.Specification("")));
        await shim.StartAsync("joined", ShimUnderTest.Specification("exec sleep 1000"));
        Assert.Equal(shim.Machine!.MonitorPid, (int)(await shim.Client.StateAsync("joined")).Pid);
        await shim.Client.KillAsync("c", Signals.SIGKILL);
        await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.DeleteAsync("c");

        Assert.Equal(new PodIdentity(BundleKind.Alone, "c-2"), PodChoice.Of("c", null, Paths));
    }

    private ShimPaths PathsOf(string pod)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "shims"));
        return ShimPaths.OfSocket(Path.Combine(_folder, "shims", $"{pod}.sock"));
    }

    private void MakePod(string pod, ulong inode)
    {
        ShimPaths paths = PathsOf(pod);
        Directory.CreateDirectory(paths.Folder);
        new MachineRecord { PodId = pod, NetworkInode = inode }.Write(PodFolder.RecordIn(paths.Folder));
    }
}
