using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Hearth.Firecracker;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Network;
using Hearth.Shim.Machine;
using Hearth.Testing;

namespace Hearth.Lab.Tests;

/// <summary>
/// A guest that only attacks (<c>fuzz/guest/hostile.c</c>), in a monitor as pods have it: started by the jailer, with a user,
/// a root, namespaces and a cgroup of its own, under its filters, with every device there is. Needs no lab, only a KVM.
/// <para>HEARTH_HOSTILE_GUEST: the guest, built. HEARTH_FUZZ_SEED: a guest's seed, to see one again.
/// HEARTH_FUZZ_SECONDS: how long new guests are started; one by default. HEARTH_HOSTILE_ATTEMPTS: of each, on each device (a quarter of them on
/// virtio-fs).</para>
/// </summary>
public sealed partial class HostileGuestTests : IDisposable
{
    private const uint User = 231_099;
    private const int MemoryMib = 64;
    private const int Vcpus = 2;
    private const string Tap = "hearthtap7";
    private const string Secret = "not the guest's to see or change";

    private static readonly TimeSpan s_deadline = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-hostile-").FullName;
    private readonly string _parent = $"hearth-hostile-{Environment.ProcessId}";

    private static int Attempts => Number("HEARTH_HOSTILE_ATTEMPTS") ?? 1000;

    private string Canary => Path.Combine(_folder, "canary");

    private string Image => Path.Combine(_folder, "image");

    private string Metrics => Path.Combine(_folder, "metrics");

    private string Served => Path.Combine(_folder, "served");

    public void Dispose()
    {
        foreach (string mount in CgroupHierarchy.OfHost().Mounts.Values.Distinct().Where(mount => Directory.Exists($"{mount}/{_parent}")))
        {
            Directory.Delete($"{mount}/{_parent}");
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_guest_that_only_attacks_changes_nothing_but_its_own_machine()
    {
        string guest = Environment.GetEnvironmentVariable("HEARTH_HOSTILE_GUEST") ?? "";
        Assert.SkipWhen(guest.Length == 0 || Environment.UserName != "root" || !File.Exists("/dev/kvm"), "needs the guest that ./test builds, root and /dev/kvm");
        var clock = Stopwatch.StartNew();
        int seed = Number("HEARTH_FUZZ_SEED") ?? Environment.TickCount & 0xffffff;
        do
        {
            await LiveAsync(guest, seed++);
        }
        while (clock.Elapsed < TimeSpan.FromSeconds(Number("HEARTH_FUZZ_SECONDS") ?? 0));
    }

    private async Task LiveAsync(string guest, int seed)
    {
        Prepare();
        string space = NetworkNamespace.Create(_folder, "net");
        NetworkNamespace.Run(space, static () =>
        {
            TapDevice.Create(Tap, User);
            return true;
        });
        JailCgroup cgroup = JailCgroup.Create(CgroupHierarchy.OfHost(), null, _parent, "pod-1", Vcpus, MemoryMib, static _ => { }, static (_, _) => { })
            ?? throw new InvalidOperationException("the host has no cgroup controllers");
        // The host's, and of the very user that the monitor has.
        using Process neighbour = Process.Start("setpriv", [$"--reuid={User}", $"--regid={User}", "--clear-groups", "sleep", "3600"]);
        try
        {
            await using HostileBackEnds files = HostileBackEnds.Start(Served, Path.Combine(_folder, "fs.sock"), cgroup);
            using BackEndProcess? drive = File.Exists("/usr/bin/qemu-storage-daemon") ? Drive() : null;
            (HostProcess process, MonitorJail jail) = InNamespace(() => Start(guest, seed, cgroup, space, drive?.Socket));
            using MonitorJail _ = jail;
            await using HostProcess __ = process;
            using var client = new FirecrackerClient(jail.ApiSocket.Here);
            string output = "";
            string Told() => $"seed {seed} ({MonitorEnd.ReasonOf(process.Exited.IsCompleted ? process.Exited.Result : 0, process.Output.Lines(20), cgroup)}):\n{process.Output.Lines(60)}";
            int answers = await AskUntilTheEndAsync(process, client, () => files.Listen(jail.VsockSocket.Here), Told);
            output = process.Output.Lines(int.MaxValue);
            Assert.True(await process.Exited == 0, $"the monitor ended with {process.Exited.Result}, {Told()}");
            Assert.True(answers > 0, $"the API never answered, {Told()}");
            AssertReport(output, Told(), drive is not null);
            AssertReached(Told());
            Assert.True(cgroup.ReadOutOfMemory() == default, $"it wanted more memory than its cgroup has, {Told()}");
            Assert.Equal(["dev", "f", "hearth-vmm", "hearth-vmm.pid", "run"], Directory.GetFileSystemEntries(jail.Root).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"seed {seed}: {answers} answers of the API, peak {Peak(cgroup) >> 20} of {cgroup.MemoryBytes >> 20} MiB, {files}\n"
                + Counted() + "\n"
                + string.Join('\n', output.Split('\n').Where(static line => line.Contains('@') && !line.Contains("@ROUND"))));
            Assert.False(neighbour.HasExited, $"another process of its user is gone, {Told()}");
        }
        finally
        {
            neighbour.Kill();
            await neighbour.WaitForExitAsync();
            NetworkNamespace.Remove(space);
            foreach (string folder in cgroup.Folders)
            {
                await JailCgroup.RemoveAsync(folder);
            }

            MonitorJail.Remove(_folder);
        }

        Assert.Equal((Secret, Secret), (File.ReadAllText(Canary), File.ReadAllText(Path.Combine(_folder, "outside"))));
        Assert.Equal(string.Concat(Enumerable.Repeat("-HEARTH-", 131_072)), File.ReadAllText(Image));
    }

    // The monitor has to answer all the while: a guest must not stop the thread that does.
    private static async Task<int> AskUntilTheEndAsync(HostProcess process, FirecrackerClient client, Action whenUp, Func<string> told)
    {
        using var deadline = new CancellationTokenSource(s_deadline);
        int answers = 0;
        try
        {
            _ = await client.WaitForVersionAsync(() => process.Exited.IsCompleted, deadline.Token);
            whenUp();
            while (!process.Exited.IsCompleted)
            {
                string[] tasks = Directory.GetDirectories($"/proc/{process.Pid}/task");
                _ = await client.GetInstanceInfoAsync(deadline.Token).WaitAsync(s_answer, deadline.Token);
                if (++answers == 1)
                {
                    AssertFiltered(tasks);
                }

                await Task.WhenAny(process.Exited, Task.Delay(500, deadline.Token));
                Assert.False(deadline.IsCancellationRequested, $"it goes on after {s_deadline}, {told()}");
            }
        }
        catch (Exception e) when (e is FirecrackerException or IOException or DirectoryNotFoundException)
        {
            // In the midst of its end; or it answers no more, and lives.
            Task first = await Task.WhenAny(process.Exited, Task.Delay(s_answer, deadline.Token));
            Assert.True(first == process.Exited, $"the API does not answer: {e.Message}, {told()}");
        }

        return answers;
    }

    private static void AssertFiltered(string[] tasks)
    {
        Assert.All(ProcessThreads.Read(tasks), static status =>
        {
            Assert.Contains("Seccomp:\t2", status);
            Assert.Contains("CapEff:\t0000000000000000", status);
            Assert.Contains($"Uid:\t{User}\t{User}\t{User}\t{User}", status);
        });
    }

    private static void AssertReport(string output, string told, bool hasRemoteDrive)
    {
        Assert.True(output.Contains("@DONE unharmed=1", StringComparison.Ordinal), $"the guest has not come to its end unharmed, {told}");
        Assert.True(output.Contains("stopped=1", StringComparison.Ordinal), $"the second processor attacked nothing, {told}");
        var works = DeviceLine().Matches(output).ToDictionary(
            static match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture),
            static match => (Type: int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture), Attempts: int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture), Works: match.Groups[4].Value));
        // Drives, the network's, vsock, entropy, files.
        int[] types = hasRemoteDrive ? [1, 2, 2, 2, 4, 19, 26] : [1, 2, 2, 4, 19, 26];
        Assert.Equal(types, works.Values.Select(static device => device.Type).Order());
        // Behind the last two of them stands another process, which may have had enough.
        Assert.All(works, device => Assert.True(
            device.Value.Attempts == (device.Value.Type == 26 ? (Attempts + 3) / 4 : Attempts) && (device.Value.Works == "1" || device.Value.Type == 26 || (hasRemoteDrive && device.Key == 2)), $"device {device.Key} is {device.Value}, {told}"));
    }

    // What was attacked was there: each device has done what it is for, and refused, in the midst of it.
    private void AssertReached(string told)
    {
        string counted = Counted();
        foreach (string counter in (string[])["read_count", "write_count", "execute_fails", "invalid_reqs_count", "tx_packets_count", "tx_malformed_frames", "conns_added", "entropy_bytes", "mmds.rx_accepted"])
        {
            Assert.True(Regex.IsMatch(counted, $@"\b{Regex.Escape(counter)}=[1-9]"), $"{counter} is 0 in {counted}, {told}");
        }
    }

    private string Counted()
    {
        var sums = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (string line in File.ReadAllLines(Metrics).Where(static line => line.StartsWith('{')))
        {
            JsonObject all = JsonNode.Parse(line)!.AsObject();
            foreach (string device in (string[])["block", "net", "vsock", "entropy", "mmds", "fs", "vhost_user_block"])
            {
                foreach ((string name, JsonNode? value) in all[device] as JsonObject ?? [])
                {
                    if (value is JsonValue number && number.TryGetValue(out long count))
                    {
                        sums[$"{device}.{name}"] = sums.GetValueOrDefault($"{device}.{name}") + count;
                    }
                }
            }
        }

        return string.Join(' ', sums.Where(static sum => sum.Value != 0).Select(static sum => $"{sum.Key}={sum.Value}"));
    }

    private (HostProcess Process, MonitorJail Jail) Start(string guest, int seed, JailCgroup cgroup, string space, string? driveSocket)
    {
        string monitor = Lab.Monitor, jailer = Lab.Program("hearth-jailer");
        var jail = new MonitorJail(_folder, monitor, "pod-1", User, cgroup);
        string remote = driveSocket is null ? "" : $$""", {"drive_id": "c", "is_root_device": false, "socket": "{{jail.Lend(driveSocket, writable: false)}}"}""";
        File.WriteAllText(Path.Combine(_folder, "vm.json"), $$$"""
            {"boot-source": {"kernel_image_path": "{{{jail.Lend(guest, writable: false)}}}", "boot_args": "seed={{{seed}}} attempts={{{Attempts}}}"},
             "machine-config": {"vcpu_count": {{{Vcpus}}}, "mem_size_mib": {{{MemoryMib}}}},
             "drives": [{"drive_id": "a", "is_root_device": false, "is_read_only": false, "path_on_host": "{{{jail.Lend(Path.Combine(_folder, "disk"), writable: true)}}}"},
                        {"drive_id": "b", "is_root_device": false, "is_read_only": true, "path_on_host": "{{{jail.Lend(Image, writable: false)}}}"}{{{remote}}}],
             "network-interfaces": [{"iface_id": "eth0", "host_dev_name": "{{{Tap}}}", "guest_mac": "06:00:ac:1f:00:02"}],
             "mmds-config": {"version": "V1", "network_interfaces": ["eth0"]},
             "vsock": {"guest_cid": 3, "uds_path": "{{{jail.VsockSocket.There}}}"},
             "entropy": {},
             "filesystems": [{"tag": "files", "socket": "{{{jail.Lend(Path.Combine(_folder, "fs.sock"), writable: false)}}}"}]}
            """);
        string config = jail.Lend(Path.Combine(_folder, "vm.json"), writable: false);
        string[] arguments = ["--api-sock", jail.ApiSocket.There, "--level", "Error", "--boot-timer", "--metrics-path", jail.Lend(Metrics, writable: true), "--config-file", config];
        return (HostProcess.Start(jailer, jail.Arguments(space, arguments), PodMonitor.Confinement), jail);
    }

    private void Prepare()
    {
        Directory.CreateDirectory(Served);
        File.WriteAllText(Canary, Secret);
        File.WriteAllText(Path.Combine(_folder, "outside"), Secret);
        File.WriteAllText(Image, string.Concat(Enumerable.Repeat("-HEARTH-", 131_072)));
        File.WriteAllBytes(Path.Combine(_folder, "disk"), new byte[1 << 20]);
        File.WriteAllBytes(Path.Combine(_folder, "remote"), new byte[1 << 20]);
        File.WriteAllText(Metrics, "");
        foreach (string file in (string[])[Canary, Image, Metrics, Path.Combine(_folder, "disk")])
        {
            // What holds must be the jail, not the file's mode.
            File.SetUnixFileMode(file, (UnixFileMode)0x1b6);
        }
    }

    private BackEndProcess Drive()
    {
        BackEndProcess drive = BackEndProcess.Drive(Path.Combine(_folder, "remote"), Path.Combine(_folder, "drive.sock"), writable: true);
        File.SetUnixFileMode(drive.Socket, (UnixFileMode)0x1b6);
        return drive;
    }

    // The mounts go with the namespace; the jail is its copy.
    private static T InNamespace<T>(Func<T> work) => Namespaces.OnOwnThread(() =>
    {
        Namespaces.Unshare(Sched.CLONE_NEWNS);
        Mounts.Mount(null, "/", null, SysMount.MS_REC | SysMount.MS_SLAVE);
        return work();
    });

    private static long Peak(JailCgroup cgroup) => cgroup.Folders
        .SelectMany(static folder => (string[])[$"{folder}/memory.peak", $"{folder}/memory.max_usage_in_bytes"])
        .Where(File.Exists).Select(static file => long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture)).FirstOrDefault();

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int value) ? value : null;

    [GeneratedRegex(@"@DEVICE (\d+) type=(\d+) attempts=(\d+) works=(\d)")]
    private static partial Regex DeviceLine();
}
