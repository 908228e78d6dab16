using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>What is written down of a machine, and what is made of it.</summary>
public sealed class PodFolderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hearth-folder-").FullName;

    private string Pod => Path.Combine(_root, new string('p', 100));

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Sockets_have_paths_that_fit_however_long_the_pods_name_is()
    {
        using (PodFolder folder = await PodFolder.CreateAsync(Pod))
        {
            Assert.InRange(folder.ApiSocket.Length, 1, 107);
            File.WriteAllText(folder.ApiSocket, "here");
            Assert.Equal("here", File.ReadAllText(Path.Combine(Pod, "api.sock")));
        }

        PodFolder.Delete(Pod);
        PodFolder.Delete(Pod);
        Assert.False(Directory.Exists(Pod));
    }

    [Fact]
    public async Task Files_of_others_stay()
    {
        (await PodFolder.CreateAsync(Pod)).Dispose();
        File.WriteAllText(Path.Combine(Pod, "log"), "theirs");
        PodFolder.Delete(Pod);
        Assert.Equal([Path.Combine(Pod, "log")], Directory.GetFileSystemEntries(Pod));
    }

    [Fact]
    public void A_record_comes_back_and_a_broken_one_is_none()
    {
        string path = Path.Combine(_root, "machine.json");
        var record = new MachineRecord { NetworkNamespace = "/run/netns/a", Processes = [new ProcessRecord(1, 2)] };
        record.Write(path);
        MachineRecord read = MachineRecord.TryRead(path)!;
        Assert.Equal(("/run/netns/a", new ProcessRecord(1, 2)), (read.NetworkNamespace, read.Processes.Single()));
        File.WriteAllText(path, File.ReadAllText(path)[..10]);
        Assert.Null(MachineRecord.TryRead(path));
        Assert.Null(MachineRecord.TryRead(path + "-not-there"));
    }

    [Fact]
    public async Task What_is_named_in_no_record_but_in_a_process_is_ended()
    {
        Assert.SkipUnless(Environment.UserName == "root", "looks at all processes: needs root");
        (await PodFolder.CreateAsync(Pod)).Dispose();
        await using HostProcess ours = HostProcess.Start("/bin/sh", ["-c", "while :; do sleep 1; done", "sh", $"{Pod}/api.sock"]);
        await using HostProcess others = HostProcess.Start("/bin/sh", ["-c", "while :; do sleep 1; done", "sh", $"{Pod}x/api.sock"]);
        await PodMachine.CleanUpAsync(Pod);
        await PodMachine.CleanUpAsync(Pod);
        Assert.Equal(137, await ours.Exited);
        Assert.False(others.Exited.IsCompleted);
        Assert.False(Directory.Exists(Pod));
    }

    /// <summary>containerd calls delete as soon as a shim closes its sockets; the guest may not have written everything out by then.</summary>
    [Fact]
    public async Task Nobody_cleans_up_after_a_shim_that_has_not_ended()
    {
        await using HostProcess monitor = HostProcess.Start("/bin/sleep", ["1000"]);
        Task cleaning;
        using (PodFolder folder = await PodFolder.CreateAsync(Pod))
        {
            new MachineRecord { Processes = [new ProcessRecord(monitor.Pid, monitor.StartTime)] }.Write(folder.Record);
            cleaning = Task.Run(() => PodMachine.CleanUpAsync(Pod));
            await Task.Delay(500);
            Assert.False(cleaning.IsCompleted || monitor.Exited.IsCompleted);
        }

        await cleaning;
        Assert.Equal(137, await monitor.Exited);
        await PodMachine.CleanUpAsync(Pod);
        // A new shim of the same pod has begun: the one who comes late leaves it alone.
        using (await PodFolder.CreateAsync(Pod))
        {
            cleaning = Task.Run(() => PodMachine.CleanUpAsync(Pod, inUse: static () => true));
        }

        await cleaning;
        Assert.True(Directory.Exists(Pod));
        PodFolder.Delete(Pod);
    }

    [Fact]
    public async Task A_record_of_a_number_that_is_another_process_now_ends_nobody()
    {
        await using HostProcess other = HostProcess.Start("/bin/sleep", ["1000"]);
        (await PodFolder.CreateAsync(Pod)).Dispose();
        new MachineRecord { Processes = [new ProcessRecord(other.Pid, other.StartTime + 1)] }.Write(Path.Combine(Pod, "machine.json"));
        await PodMachine.CleanUpAsync(Pod);
        Assert.False(other.Exited.IsCompleted);
    }

    [Fact]
    public async Task A_program_has_its_output_kept_and_its_end_seen()
    {
        await using HostProcess process = HostProcess.Start("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"]);
        Assert.Equal(3, await process.Exited);
        Assert.Equal("out\nerr", process.Output.Lines(9));
        Assert.Throws<LinuxException>(() => HostProcess.Start("/no/such/program", []));
    }

    [Fact]
    public void A_user_is_one_pods_until_the_pod_is_gone()
    {
        var config = new HearthConfig { Daemon = new DaemonConfig { State = _root }, Microvm = new MicrovmConfig { JailUidBase = 1000, JailUidCount = 2 } };
        string first = Directory.CreateDirectory(Path.Combine(_root, "first")).FullName;
        string second = Directory.CreateDirectory(Path.Combine(_root, "second")).FullName;
        (uint user, string file) = JailUsers.Take(config, first);
        (uint other, _) = JailUsers.Take(config, second);
        Assert.Equal([1000u, 1001u], new[] { user, other }.Order());
        Assert.Throws<HearthException>(() => JailUsers.Take(config, _root));
        Directory.Delete(second);
        Assert.Equal(other, JailUsers.Take(config, _root).User);
        File.Delete(file);
        Assert.Equal(user, JailUsers.Take(config, _root).User);
    }
}
