using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Lab.Tests;

/// <summary>A pod's machine by real programs: monitor, virtiofsd, agent, a TAP joined to a pod's interface.</summary>
public sealed partial class PodMachineTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(170);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-pod-").FullName;
    private readonly string _space = $"hp{Guid.NewGuid():N}"[..12];
    private readonly List<string> _mounted = [];
    private bool _hasSpace;

    private string CgroupParent => $"/sys/fs/cgroup/{_space}";

    private string PodFolder => Path.Combine(_folder, new string('p', 64));

    public void Dispose()
    {
        foreach (string path in _mounted)
        {
            Host("umount", "-l", path);
        }

        if (_hasSpace)
        {
            Host("ip", "netns", "del", _space);
        }

        Directory.Delete(_folder, recursive: true);
        if (Directory.Exists(CgroupParent))
        {
            Directory.Delete(CgroupParent);
        }
    }

    [Fact]
    public async Task A_pod_has_its_network_images_volumes_and_leaves_nothing()
    {
        int[] processes = Processes();
        IPodMachine machine = await PodMachine.StartAsync(Options(MakeNetwork()), CancellationToken.None);
        try
        {
            await UseAsync(machine);
            // As the kernel would for want of memory.
            Process.GetProcessById(machine.MonitorPid).Kill();
            string reason = await machine.Stopped.WaitAsync(s_deadline);
            Assert.StartsWith("The monitor was killed by signal 9: by somebody on the host", reason, StringComparison.Ordinal);
        }
        finally
        {
            await machine.DisposeAsync();
        }

        AssertNothingIsLeft(processes);
    }

    [Fact]
    public async Task A_monitor_that_is_only_firecracker_gets_copies_of_volumes_that_follow_their_source()
    {
        string monitor = Path.Combine(_folder, "firecracker");
        File.WriteAllText(monitor, $"#!/bin/sh\nexec {Lab.Monitor} --strict-firecracker \"$@\"\n");
        File.SetUnixFileMode(monitor, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PodMachineOptions options = Options(null, jailed: false);
        await using IPodMachine machine = await PodMachine.StartAsync(
            options with { Config = options.Config with { Microvm = options.Config.Microvm with { Monitor = monitor } } }, CancellationToken.None);
        // As the kubelet lays a ConfigMap out.
        string volume = Directory.CreateDirectory(Path.Combine(_folder, "volume")).FullName;
        Directory.CreateDirectory(Path.Combine(volume, "..1"));
        File.WriteAllText(Path.Combine(volume, "..1", "key"), "one\n");
        File.CreateSymbolicLink(Path.Combine(volume, "..data"), "..1");
        File.CreateSymbolicLink(Path.Combine(volume, "key"), "..data/key");
        string empty = Directory.CreateDirectory(Path.Combine(_folder, "empty")).FullName;
        MountSpec[] mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc" },
            new() { Destination = "/mnt", Type = "bind", Source = volume, Options = ["rbind", "rprivate", "rw"] },
            new() { Destination = "/media", Type = "bind", Source = empty, Options = ["rbind", "rprivate", "rw"] },
        ];
        await CreateAsync(machine, "one", [new Mount { Type = "ext4", Source = Lab.RootFilesystem, Options = { "ro" } }], mounts);
        Assert.Equal("one\n", await RunAsync(machine, "one", "cat /mnt/key"));
        Assert.Equal("refused\nown\n", await RunAsync(machine, "one", "(echo x > /mnt/key) 2>/dev/null || echo refused; echo own > /media/file; cat /media/file"));
        Directory.CreateDirectory(Path.Combine(volume, "..2"));
        File.WriteAllText(Path.Combine(volume, "..2", "key"), "two\n");
        File.CreateSymbolicLink(Path.Combine(volume, "..next"), "..2");
        Host("mv", "-T", Path.Combine(volume, "..next"), Path.Combine(volume, "..data"));
        Assert.Equal("two\n", await RunAsync(machine, "one", "until grep two /mnt/key; do sleep 0.1; done"));

        // A root that is a directory is copied, owners and all.
        string bundle = Path.Combine(_folder, "two");
        string root = Directory.CreateDirectory(Path.Combine(bundle, "rootfs")).FullName;
        Host("sh", "-c", $"cd {root} && mkdir bin tmp && cp /bin/busybox bin/ && for n in sh cat stat sleep; do ln -s busybox bin/$n; done && echo here >file && chown 5:6 file && chmod 4755 file && ln file again");
        await CreateAsync(machine, "two", [], mounts[..1], bundle);
        Assert.Equal("here\n5 6 4755 2\n", await RunAsync(machine, "two", "cat /again; stat -c '%u %g %a %h' /file; echo own >/new"));
        Assert.False(File.Exists(Path.Combine(root, "new")));
        Assert.Equal(["template-2048.ext4"], Directory.EnumerateFiles(Path.Combine(_folder, "root", "scratch")).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_dead_shim_leaves_is_cleaned_up_by_the_folder_alone(bool jailed)
    {
        int[] processes = Processes();
        IPodMachine machine = await PodMachine.StartAsync(Options(MakeNetwork(), jailed), CancellationToken.None);
        // This process has the folder, as a shim has that hangs.
        await PodMachine.CleanUpAsync(PodFolder, patience: TimeSpan.Zero);
        await PodMachine.CleanUpAsync(PodFolder);
        // It was ended with kill -9, and nobody lacked memory.
        string reason = await machine.Stopped.WaitAsync(s_deadline);
        Assert.StartsWith("The monitor was killed by signal 9: by somebody on the host", reason, StringComparison.Ordinal);
        AssertNothingIsLeft(processes);
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task A_machine_that_does_not_come_up_says_why_and_leaves_nothing()
    {
        int[] processes = Processes();
        PodMachineOptions options = Options(null, jailed: false);
        string noKernel = Path.Combine(_folder, "kernel");
        File.WriteAllText(noKernel, "no kernel");
        PodMachineOptions broken = options with { Config = options.Config with { Microvm = options.Config.Microvm with { Kernel = noKernel } } };
        HearthException failure = await Assert.ThrowsAsync<HearthException>(() => PodMachine.StartAsync(broken, CancellationToken.None));
        Assert.Contains("does not come up", failure.Message, StringComparison.Ordinal);
        Assert.Contains(noKernel, failure.Message, StringComparison.Ordinal);

        // Its kernel finds nothing to run, and ends.
        string noAgent = Path.Combine(_folder, "initrd");
        File.WriteAllText(noAgent, "no agent");
        broken = options with { Config = options.Config with { Microvm = options.Config.Microvm with { Initrd = noAgent } } };
        failure = await Assert.ThrowsAsync<HearthException>(() => PodMachine.StartAsync(broken, CancellationToken.None));
        Assert.Contains($"{MonitorEnd.ByItsGuest} Its kernel is {options.Config.Microvm.Kernel}, and its agent, which has to answer, is in {noAgent}", failure.Message, StringComparison.Ordinal);
        AssertNothingIsLeft(processes);
    }

    private async Task UseAsync(IPodMachine machine)
    {
        // A root that is an image, shared by two containers, with volumes that live.
        // Shared, as all of a host is that systemd has started.
        string volume = Directory.CreateDirectory(Path.Combine(_folder, "volume")).FullName;
        Host("mount", "--bind", volume, volume);
        Host("mount", "--make-shared", volume);
        _mounted.Add(volume);
        string secret = Path.Combine(_folder, "secret");
        File.WriteAllText(Path.Combine(volume, "host"), "one\n");
        File.WriteAllText(secret, "secret\n");
        MountSpec[] mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc" },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "mode=755"] },
            new() { Destination = "/dev/shm", Type = "bind", Source = "/dev/shm", Options = ["rbind", "rw"] },
            new() { Destination = "/mnt", Type = "bind", Source = volume, Options = ["rbind", "rprivate", "rw"] },
            new() { Destination = "/media", Type = "bind", Source = volume, Options = ["rbind", "rslave", "ro"] },
            new() { Destination = "/run/secret", Type = "bind", Source = secret, Options = ["bind", "ro"] },
        ];
        var image = new Mount { Type = "ext4", Source = Lab.RootFilesystem, Options = { "ro" } };
        await CreateAsync(machine, "one", [image], mounts);
        await CreateAsync(machine, "two", [image], mounts);
        Assert.Equal("pod\n", await RunAsync(machine, "one", "hostname"));
        Assert.Equal("one\nsecret\n", await RunAsync(machine, "one", "cat /mnt/host /run/secret"));
        File.WriteAllText(Path.Combine(volume, "host"), "two\n");
        Assert.Equal("two\n", await RunAsync(machine, "one", "until grep two /media/host; do sleep 0.1; done"));
        await RunAsync(machine, "two", "echo three > /mnt/guest");
        Assert.Equal("three\n", File.ReadAllText(Path.Combine(volume, "guest")));
        Assert.Equal("refused\n", await RunAsync(machine, "one", "(echo x > /media/guest) 2>/dev/null || (echo x > /run/secret) 2>/dev/null || echo refused"));
        Assert.Equal("shared\n", await RunAsync(machine, "one", "echo shared > /dev/shm/x") + await RunAsync(machine, "two", "cat /dev/shm/x"));
        // What one changes of the image is on the scratch disk, and its own.
        Assert.Equal("big\n", await RunAsync(machine, "one", "head -c 20000000 /dev/zero > /big && stat -c %s /big | grep -q 20000000 && echo big"));
        Assert.Equal("none\n", await RunAsync(machine, "two", "ls /big 2>/dev/null || echo none"));

        // A mount that the host makes below a volume appears in it.
        string below = Directory.CreateDirectory(Path.Combine(volume, "below")).FullName;
        Host("mount", "-t", "tmpfs", "tmpfs", below);
        File.WriteAllText(Path.Combine(below, "late"), "late\n");
        Assert.Equal("late\n", await RunAsync(machine, "one", "until cat /media/below/late 2>/dev/null; do sleep 0.1; done"));
        Assert.Equal("private\n", await RunAsync(machine, "one", "cat /mnt/below/late 2>/dev/null || echo private"));
        Host("umount", "-l", below);

        // A root that is a folder of the bundle: what the container changes is changed there.
        string bundle = Directory.CreateDirectory(Path.Combine(_folder, "bundle")).FullName;
        Directory.CreateDirectory(Path.Combine(bundle, "rootfs", "bin"));
        File.Copy("/bin/busybox", Path.Combine(bundle, "rootfs", "bin", "sh"));
        await CreateAsync(machine, "three", [], [mounts[0]], bundle);
        Assert.Equal("written\n", await RunAsync(machine, "three", "echo written > /new; while read -r line; do echo $line; done < /new"));
        Assert.Equal("written\n", File.ReadAllText(Path.Combine(bundle, "rootfs", "new")));

        await TalkAsync(machine);
        foreach (string id in (string[])["one", "two", "three"])
        {
            await machine.Agent.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
            await machine.DetachAsync(id);
            await machine.DetachAsync(id);
        }

        Assert.DoesNotContain($"{PodFolder}/shared/", File.ReadAllText("/proc/self/mountinfo"), StringComparison.Ordinal);
        // The drive is free for another image.
        await CreateAsync(machine, "four", [image], mounts);
        Assert.Equal("two\n", await RunAsync(machine, "four", "cat /mnt/host; ls /big 2>/dev/null"));
        await Assert.ThrowsAsync<HearthException>(() => machine.UpdateAsync(2, 256, CancellationToken.None));
    }

    // The guest has the pod interface's own address, and reaches the other end.
    private static async Task TalkAsync(IPodMachine machine)
    {
        using var listener = new TcpListener(System.Net.IPAddress.Parse("10.77.0.1"), 0);
        listener.Start();
        int port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        Task<TcpClient> accepted = listener.AcceptTcpClientAsync();
        await RunAsync(machine, "one", $"exec 3<>/dev/tcp/10.77.0.1/{port}; echo hello >&3", shell: "bash");
        using TcpClient guest = await accepted.WaitAsync(s_deadline);
        Assert.Equal("10.77.0.2", ((System.Net.IPEndPoint)guest.Client.RemoteEndPoint!).Address.ToString());
        using var reader = new StreamReader(guest.GetStream());
        Assert.Equal("hello", await reader.ReadLineAsync().WaitAsync(s_deadline));
    }

    private static async Task CreateAsync(IPodMachine machine, string id, IReadOnlyList<Mount> rootfs, IReadOnlyList<MountSpec> mounts, string bundle = "/")
    {
        var spec = new RuntimeSpec
        {
            Process = Shell("while :; do sleep 1000; done", "sh"),
            Root = new RootSpec { Path = "rootfs" },
            Mounts = mounts,
            Linux = new LinuxSpec { Namespaces = [new() { Type = "pid" }, new() { Type = "mount" }] },
        };
        RootFilesystem root = await machine.AttachRootAsync(id, bundle, spec, rootfs, CancellationToken.None);
        IReadOnlyList<MountSpec> inGuest = await machine.AttachVolumesAsync(id, spec.Mounts, CancellationToken.None);
        await machine.Agent.CreateContainerAsync(new CreateContainerRequest
        {
            ContainerId = id,
            Spec = ByteString.CopyFrom((spec with { Mounts = inGuest }).ToJson()),
            Rootfs = root,
        });
        await machine.Agent.StartContainerAsync(new StartContainerRequest { ContainerId = id });
    }

    private static ProcessSpec Shell(string command, string shell) => new() { Args = [shell, "-c", command], Env = ["PATH=/usr/bin:/bin"] };

    private static async Task<string> RunAsync(IPodMachine machine, string id, string command, string shell = "sh")
    {
        var request = new RunProcessRequest
        {
            ContainerId = id,
            Process = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(Shell(command, shell), RuntimeJson.Default.ProcessSpec)),
            TimeoutMs = 120_000,
        };
        using TtrpcStream<RunProcessEvent> events = await machine.Agent.RunProcessAsync(request);
        using var limit = new CancellationTokenSource(s_deadline);
        var output = new StringBuilder();
        await foreach (RunProcessEvent happened in events.ReadAllAsync(limit.Token))
        {
            output.Append(happened.Stdout?.ToStringUtf8()).Append(happened.Stderr?.ToStringUtf8());
        }

        return output.ToString();
    }

    private PodMachineOptions Options(string? space, bool jailed = true)
    {
        string binaries = Path.GetDirectoryName(Lab.Monitor)!;
        var microvm = new MicrovmConfig
        {
            Kernel = Lab.BuiltKernel,
            Initrd = Lab.AgentInitrd,
            Monitor = Lab.Monitor,
            Jail = jailed,
            JailCgroup = Path.GetFileName(CgroupParent),
            Jailer = Path.Combine(binaries, "hearth-jailer"),
            ImageDrives = 2,
            ScratchMib = 2048,
            BootTimeoutS = 300,
        };
        return new PodMachineOptions
        {
            PodId = "a.pod_of-the-lab",
            Folder = PodFolder,
            Config = new HearthConfig { Microvm = microvm, Daemon = new DaemonConfig { Root = Path.Combine(_folder, "root"), State = Path.Combine(_folder, "state") } },
            Vcpus = 1,
            MemoryMib = 256,
            NetworkNamespace = space,
            Hostname = "pod",
            Sysctls = new Dictionary<string, string> { ["net.ipv4.ip_unprivileged_port_start"] = "0" },
        };
    }

    // What CNI leaves: a namespace with an interface and an address, whose other end is the host's.
    private string MakeNetwork()
    {
        string host = $"{_space}h";
        Host("ip", "netns", "add", _space);
        _hasSpace = true;
        Host("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", _space);
        Host("ip", "addr", "add", "10.77.0.1/24", "dev", host);
        Host("ip", "link", "set", host, "up");
        Host("ip", "-n", _space, "addr", "add", "10.77.0.2/24", "dev", "eth0");
        Host("ip", "-n", _space, "link", "set", "eth0", "up");
        Host("ip", "-n", _space, "route", "add", "default", "via", "10.77.0.1");
        return $"/run/netns/{_space}";
    }

    private void AssertNothingIsLeft(int[] processes)
    {
        Assert.False(Directory.Exists(PodFolder), string.Join(' ', Directory.Exists(PodFolder) ? Directory.GetFileSystemEntries(PodFolder) : []));
        Assert.DoesNotContain(PodFolder, File.ReadAllText("/proc/self/mountinfo"), StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories), static file => file.EndsWith(".ext4", StringComparison.Ordinal) && !file.Contains("template"));
        string users = Path.Combine(_folder, "state", "jail-users");
        Assert.Empty(Directory.Exists(users) ? Directory.GetFiles(users) : []);
        Assert.Empty(Directory.Exists(CgroupParent) ? Directory.GetDirectories(CgroupParent) : []);
        if (_hasSpace)
        {
            Assert.DoesNotContain("htap", Host("ip", "-n", _space, "link"), StringComparison.Ordinal);
        }

        // What was killed is there until its parent has heard of it.
        var clock = Stopwatch.StartNew();
        int[] left;
        while ((left = [.. Processes().Except(processes)]).Length > 0 && clock.Elapsed < TimeSpan.FromSeconds(10))
        {
            Thread.Sleep(50);
        }

        Assert.Empty(left);
    }

    private static int[] Processes() => [.. Directory.EnumerateDirectories("/proc").Select(static entry =>
    {
        try
        {
            return int.TryParse(Path.GetFileName(entry), out int pid) && File.ReadAllText($"{entry}/comm").Trim() is "hearth-vmm" or "virtiofsd" or "hearth-jailer" ? pid : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }).Where(static pid => pid != 0)];

    private static string Host(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = process.StandardOutput.ReadToEnd();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {errors}");
        return output;
    }
}
