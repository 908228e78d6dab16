using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Firecracker;
using Hearth.Firecracker.Models;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// A machine on its way up. What does not wait for each other is done at the same time: the monitor starts while the scratch
/// disk is copied, virtiofsd starts while the monitor is configured. Thread: one at a time.
/// </summary>
internal sealed class MachineBoot : IAsyncDisposable
{
    // Nothing on the bus is looked for that a microVM does not have; the last words of a panic come, and the machine ends.
    private const string BootArguments =
        "console=ttyS0 reboot=k panic=1 quiet random.trust_cpu=on i8042.noaux i8042.nomux i8042.dumbkbd cryptomgr.notests rcupdate.rcu_expedited=1";

    private const uint GuestCid = 3;
    private const int SeedBytes = 64;

    private static readonly TimeSpan s_dialPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_exitFollows = TimeSpan.FromSeconds(1);

    private readonly PodMachineOptions _options;
    private readonly MicrovmConfig _config;
    private readonly BootTimes _times = new();
    private MachineParts? _parts;

    public MachineBoot(PodMachineOptions options)
    {
        _options = options;
        _config = options.Config.Microvm;
    }

    private MachineParts Parts => _parts!;

    private bool HasScratch => _config.ScratchMib > 0;

    /// <exception cref="OperationCanceledException">The time is up.</exception>
    public async Task<IPodMachine> RunAsync(CancellationToken cancellation)
    {
        GuestFiles.Check(_config);
        PodFolder folder = await PodFolder.CreateAsync(_options.Folder).ConfigureAwait(false);
        string scratchFolder = $"{_options.Config.Daemon.Root}/scratch";
        string scratchName = $"{RandomBytes.Name()}.ext4";
        try
        {
            _parts = new MachineParts(folder, new MachineRecord
            {
                PodId = _options.PodId,
                NetworkNamespace = _options.NetworkNamespace,
                ScratchDisk = HasScratch ? $"{scratchFolder}/{scratchName}" : null,
            });
        }
        catch
        {
            // The disk is full: nothing else has been taken yet.
            PodFolder.Delete(folder.Path);
            folder.Dispose();
            throw;
        }

        IMonitorFiles files = Parts.Prepare(_options);
        string space = _options.NetworkNamespace is { } given ? ManagerNetwork.Enter(given) : ManagerNetwork.MakeOwn();
        Parts.IsIn(space);
        Task<string>? scratch = HasScratch ? Task.Run(() => ScratchDisk.CreateAsync(scratchFolder, scratchName, _config.ScratchMib, cancellation), cancellation) : null;
        Task<PodLinks> network = PodLinks.AttachAsync(space, _options.SpareInterfaces, files.Owner);
        _times.Ended("files");
        try
        {
            Parts.Take(PodMonitor.Start(_options, files, space));
            if (!PodMonitor.IsFirecracker(_config))
            {
                Parts.Shared = new SharedFolder(folder.Shared);
                Parts.Take(Virtiofsd.Start(Virtiofsd.Find(_config.Virtiofsd), folder.Shared, folder.VirtiofsdSocket));
            }

            return await UnlessItEndsAsync(c => BootAsync(scratch, network, c), cancellation).ConfigureAwait(false);
        }
        catch
        {
            // Nothing goes on behind the back of what cleans up.
            await Task.WhenAll(scratch ?? Task.CompletedTask, network).ContinueWith(static _ => { }, TaskScheduler.Default).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Why the monitor has ended, if that is behind a failure.</summary>
    public async Task<string?> MonitorEndAsync(Exception failure)
    {
        if (_parts?.Monitor?.Process is not { } process || failure is FirecrackerException { Status: not null } or HearthException)
        {
            return null;
        }

        await Task.WhenAny(process.Exited, Task.Delay(s_exitFollows)).ConfigureAwait(false);
        return process.Exited.IsCompleted ? _parts.ReasonOf(await process.Exited.ConfigureAwait(false)) : null;
    }

    /// <summary>What the monitor says, with the host's paths.</summary>
    public string Translate(string message) => _parts?.Files?.Translate(message) ?? message;

    /// <summary>The end of what the guest and the monitor have printed, for an error's end.</summary>
    public string Console(int lines)
    {
        string monitor = _parts?.Monitor?.Process.Output.Lines(lines) ?? "";
        string virtiofsd = _parts?.Virtiofsd?.Output.Lines(lines) ?? "";
        return (monitor.Length > 0 ? $"\nThe end of its console:\n{monitor}" : "") + (virtiofsd.Length > 0 ? $"\nThe end of what virtiofsd says:\n{virtiofsd}" : "");
    }

    public async ValueTask DisposeAsync()
    {
        if (_parts is not null)
        {
            await _parts.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<IPodMachine> BootAsync(Task<string>? scratch, Task<PodLinks> network, CancellationToken cancellation)
    {
        PodMonitor monitor = Parts.Monitor!;
        await monitor.WaitForApiAsync(cancellation).ConfigureAwait(false);
        _times.Ended("api");
        await ConfigureAsync(monitor, scratch, network, cancellation).ConfigureAwait(false);
        _times.Ended("configured");
        using (var readiness = AgentReadiness.Listen(Parts.Files!.VsockSocket.Here))
        {
            await monitor.Client.StartInstanceAsync(cancellation).ConfigureAwait(false);
            TakeBackWhatIsOpen(scratch is null ? null : await scratch.ConfigureAwait(false));
            // The service's connection is the first, and stays; streams come later.
            Parts.Agent = await AgentClient.ConnectAsync(
                async (port, c) => port == AgentPorts.Ttrpc
                    ? await readiness.DialAsync(port, c).ConfigureAwait(false)
                    : await VsockDialer.DialUntilAsync(Parts.Files!.VsockSocket.Here, port, s_dialPause, c).ConfigureAwait(false),
                cancellation).ConfigureAwait(false);
        }

        _times.Ended("guest");
        PodLinks links = await network.ConfigureAwait(false);
        await SetUpGuestAsync(Parts.Agent, links, cancellation).ConfigureAwait(false);
        _times.Ended("set up");
        _options.Detail($"The machine came up in {_times}.");
        var drives = new ImageDrives(_config.ImageDrives, HasScratch ? 1 : 0, GiveDriveAsync);
        return new RunningMachine(_options, Parts, links, drives);
    }

    private async Task ConfigureAsync(PodMonitor monitor, Task<string>? scratch, Task<PodLinks> network, CancellationToken cancellation)
    {
        FirecrackerClient client = monitor.Client;
        HugePages? pages = PagesOf(_config.HugePages);
        // Of pages of 2 MiB, a whole number.
        int memory = pages is null ? _options.MemoryMib : _options.MemoryMib + (_options.MemoryMib & 1);
        await client.PutMachineConfigAsync(new MachineConfiguration { VcpuCount = _options.Vcpus, MemSizeMib = memory, HugePages = pages }, cancellation).ConfigureAwait(false);
        await client.PutBootSourceAsync(
            new BootSource
            {
                KernelImagePath = Parts.Files!.Lend(_config.Kernel),
                InitrdPath = Parts.Files!.Lend(_config.Initrd),
                BootArgs = $"{BootArguments} {_config.KernelArguments}".TrimEnd(),
            },
            cancellation).ConfigureAwait(false);
        await client.PutVsockAsync(new Vsock { GuestCid = GuestCid, UdsPath = Parts.Files!.VsockSocket.There }, cancellation).ConfigureAwait(false);
        await client.PutEntropyAsync(new EntropyDevice(), cancellation).ConfigureAwait(false);
        await PutFilesystemAsync(monitor, cancellation).ConfigureAwait(false);
        foreach ((string tap, string hardwareAddress) in (await network.ConfigureAwait(false)).Devices)
        {
            await client.PutNetworkInterfaceAsync(new NetworkInterface { IfaceId = tap, HostDevName = tap, GuestMac = hardwareAddress }, cancellation).ConfigureAwait(false);
        }

        // The guest names its disks in this order: the scratch disk is vda.
        if (scratch is not null)
        {
            string path = Parts.Files!.Lend(await scratch.ConfigureAwait(false), writable: true);
            await client.PutDriveAsync(new Drive { DriveId = "scratch", PathOnHost = path, IsRootDevice = false, IsReadOnly = false }, cancellation).ConfigureAwait(false);
        }

        string empty = Parts.Files!.Lend(Parts.Folder.Empty);
        for (int i = 0; i < _config.ImageDrives; i++)
        {
            await client.PutDriveAsync(new Drive { DriveId = DriveId(i), PathOnHost = empty, IsRootDevice = false, IsReadOnly = true }, cancellation).ConfigureAwait(false);
        }
    }

    // The kernel is read, and the disk is open: without a name it goes when the machine goes, whatever happens to this process.
    private void TakeBackWhatIsOpen(string? scratch)
    {
        Parts.Files!.TakeBack(_config.Kernel);
        Parts.Files.TakeBack(_config.Initrd);
        if (scratch is not null)
        {
            Parts.Files.TakeBack(scratch);
            File.Delete(scratch);
        }
    }

    private async Task PutFilesystemAsync(PodMonitor monitor, CancellationToken cancellation)
    {
        if (Parts.Shared is null)
        {
            return;
        }

        try
        {
            string socket = Parts.Files!.Lend(Parts.Folder.VirtiofsdSocket);
            await monitor.Client.PutFilesystemAsync(new Firecracker.Models.Filesystem { Tag = SharedFolder.Tag, Socket = socket }, cancellation).ConfigureAwait(false);
        }
        catch (FirecrackerException e) when (e.FaultMessage is { } fault && (fault.Contains("Invalid request method", StringComparison.Ordinal) || fault.Contains("strict-firecracker", StringComparison.Ordinal)))
        {
            // A Firecracker under another name, or a monitor that has promised to be like one.
            await Parts.DropSharedAsync().ConfigureAwait(false);
        }
    }

    private async Task SetUpGuestAsync(AgentClient agent, PodLinks links, CancellationToken cancellation)
    {
        byte[] seed = new byte[SeedBytes];
        RandomBytes.Fill(seed);
        var request = new SetUpSandboxRequest
        {
            Hostname = _options.Hostname,
            Time = new SetTimeRequest { UnixNanoseconds = WallClock() },
            RandomSeed = UnsafeByteOperations.UnsafeWrap(seed),
            Network = links.AtStart(),
        };
        foreach ((string name, string value) in _options.Sysctls)
        {
            request.Sysctls.Add(name, value);
        }

        // The first: what another version fails at comes of that.
        var calls = new List<Task> { CheckVersionAsync(agent, cancellation), agent.SetUpSandboxAsync(request, cancellation) };
        if (HasScratch)
        {
            var disk = new Agent.Protocol.Filesystem { Type = "ext4", Source = ImageDrives.DeviceOf(0), Options = { ScratchDisk.MountOptions } };
            calls.Add(agent.MountAsync(new MountRequest { Filesystem = disk, Target = RunningMachine.GuestScratch }, cancellation));
        }

        if (Parts.Shared is not null)
        {
            var shared = new Agent.Protocol.Filesystem { Type = "virtiofs", Source = SharedFolder.Tag };
            calls.Add(agent.MountAsync(new MountRequest { Filesystem = shared, Target = SharedFolder.GuestPath }, cancellation));
        }

        await Task.WhenAll(calls).ConfigureAwait(false);
    }

    private async Task CheckVersionAsync(AgentClient agent, CancellationToken cancellation) =>
        AgentVersions.Check(_config.Initrd, (await agent.CheckAsync(cancellation: cancellation).ConfigureAwait(false)).Version);

    private async Task GiveDriveAsync(int index, string? path, string? before, CancellationToken cancellation)
    {
        IMonitorFiles files = Parts.Files!;
        await Parts.Monitor!.Client.PatchDriveAsync(new PartialDrive { DriveId = DriveId(index), PathOnHost = files.Lend(path ?? Parts.Folder.Empty) }, cancellation).ConfigureAwait(false);
        if (before is not null)
        {
            files.TakeBack(before);
        }
    }

    // Not said where it is nothing: older Firecrackers do not know it.
    private static HugePages? PagesOf(string configured) => configured switch
    {
        "transparent" => HugePages.Transparent,
        "2M" => HugePages.Hugetlbfs2M,
        _ => null,
    };

    private static string DriveId(int index) => $"image{index}";

    /// <summary>Nanoseconds since 1970.</summary>
    internal static long WallClock() => (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;

    // A monitor that ends while the machine starts is seen at once, whatever is being waited for.
    private async Task<T> UnlessItEndsAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        HostProcess process = Parts.Monitor!.Process;
        Task<T> working = work(ended.Token);
        if (await Task.WhenAny(working, process.Exited).ConfigureAwait(false) == working)
        {
            return await working.ConfigureAwait(false);
        }

        await ended.CancelAsync().ConfigureAwait(false);
        await working.ContinueWith(static _ => { }, TaskScheduler.Default).ConfigureAwait(false);
        throw new IOException(Parts.ReasonOf(await process.Exited.ConfigureAwait(false)));
    }
}
