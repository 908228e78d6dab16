using System.Collections.Concurrent;
using Hearth.Agent.Protocol;
using Hearth.Firecracker;
using Hearth.Linux;
using Hearth.Linux.Netlink;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Machine;

/// <summary>A machine that has come up. Thread: any.</summary>
internal sealed class RunningMachine : IPodMachine
{
    /// <summary>Where the guest has the disk that takes containers' changes.</summary>
    public const string GuestScratch = "/run/hearth/scratch";

    // Where it has images that are volumes.
    private const string GuestImages = "/run/hearth/images";

    private const int ConsoleLines = 40;

    private static readonly TimeSpan s_panic = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_shutdown = TimeSpan.FromSeconds(5);

    private readonly PodMachineOptions _options;
    private readonly MachineParts _parts;
    private readonly PodLinks _links;
    private readonly ImageDrives _drives;
    private readonly CopiedVolumes? _copies;
    private readonly ConcurrentDictionary<string, ConcurrentBag<string>> _shown = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ConcurrentBag<string>> _imageVolumes = new(StringComparer.Ordinal);

    // Only one root at a time is mounted to be copied.
    private readonly SemaphoreSlim _copying = new(1, 1);

    // Containers of one pod may start at one time.
    private readonly SemaphoreSlim _joining = new(1, 1);
    private NameRelay? _names;
    private volatile bool _stopping;
    private int _imageVolumeNumber;
    private int _disposed;

    public RunningMachine(PodMachineOptions options, MachineParts parts, PodLinks links, ImageDrives drives)
    {
        _links = links;
        _options = options;
        _parts = parts;
        _drives = drives;
        _copies = parts.Shared is null ? new CopiedVolumes(parts.Agent!) : null;
        Stopped = WatchAsync();
    }

    public int MonitorPid => Monitor.Process.Pid;

    public string MonitorVersion => Monitor.Version;

    public PodJail? Jail => _parts.Files is MonitorJail jail ? PodJail.Of(MonitorPid, jail, _parts.Cgroup, _options.NetworkNamespace) : null;

    public AgentClient Agent => _parts.Agent!;

    public Task<string> Stopped { get; }

    private PodMonitor Monitor => _parts.Monitor!;

    public async Task<RootFilesystem> AttachRootAsync(string containerId, string bundle, RuntimeSpec spec, IReadOnlyList<Mount> rootfs, CancellationToken cancellation)
    {
        if (rootfs is [var only] && IsImage(only.Type, only.Source, only.Options))
        {
            return await AttachImageAsync(containerId, only, cancellation).ConfigureAwait(false);
        }

        if (_parts.Shared is not { } shared)
        {
            return await AttachCopiedRootAsync(containerId, bundle, spec, rootfs, cancellation).ConfigureAwait(false);
        }

        string name = AddRoot(shared, bundle, spec, rootfs);
        Remember(containerId, name);
        return new RootFilesystem
        {
            Image = new Filesystem { Type = "bind", Source = $"{SharedFolder.GuestPath}/{name}" },
            Direct = true,
        };
    }

    public async Task<IReadOnlyList<MountSpec>> AttachVolumesAsync(string containerId, IReadOnlyList<MountSpec> mounts, CancellationToken cancellation)
    {
        var result = new List<MountSpec>(mounts.Count);
        foreach (MountSpec mount in mounts)
        {
            cancellation.ThrowIfCancellationRequested();
            result.Add(IsImage(mount.Type, mount.Source, mount.Options)
                ? await AttachImageVolumeAsync(containerId, mount, cancellation).ConfigureAwait(false)
                : await AttachVolumeAsync(containerId, mount, cancellation).ConfigureAwait(false));
        }

        return result;
    }

    public async Task DetachAsync(string containerId)
    {
        try
        {
            foreach (string target in _imageVolumes.TryRemove(containerId, out ConcurrentBag<string>? targets) ? targets : [])
            {
                // Before its drive is given to another image.
                await Agent.UnmountAsync(new UnmountRequest { Target = target }).ConfigureAwait(false);
            }

            await _drives.DetachAsync(containerId, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FirecrackerException or TtrpcException && (_stopping || Monitor.Process.Exited.IsCompleted))
        {
            // The drives went with the machine.
        }

        if (_copies is not null)
        {
            await _copies.RemoveAsync(containerId).ConfigureAwait(false);
        }

        if (_shown.TryRemove(containerId, out ConcurrentBag<string>? names) && _parts.Shared is { } shared)
        {
            foreach (string name in names)
            {
                shared.Remove(name);
            }
        }
    }

    public Task<Stream> ConnectPortAsync(ushort port, CancellationToken cancellation) => Agent.OpenPortAsync(port, cancellation);

    public async Task JoinNetworkAsync(CancellationToken cancellation)
    {
        await _joining.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            await _links.FollowAsync(change => Agent.ConfigureNetworkAsync(change, cancellation)).ConfigureAwait(false);
        }
        finally
        {
            _joining.Release();
        }
    }

    public RouteWatch? WatchNetwork() => _links.Watch();

    public async Task ServeNamesAsync(System.Net.IPAddress resolver, CancellationToken cancellation)
    {
        await _joining.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            _names ??= NameRelay.Start(_parts.Files!.VsockSocket.Here, _links.Space, resolver);
            // For each container: one for which this failed must not take the names from the next.
            await Agent.ConfigureNetworkAsync(new Agent.Protocol.Network { Resolver = resolver.ToString() }, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _joining.Release();
        }
    }

    public Task PauseAsync(CancellationToken cancellation) => Monitor.Client.PauseAsync(cancellation);

    public async Task ResumeAsync(CancellationToken cancellation)
    {
        await Monitor.Client.ResumeAsync(cancellation).ConfigureAwait(false);
        // The guest's clock has stood still.
        await Agent.SetTimeAsync(new SetTimeRequest { UnixNanoseconds = MachineBoot.WallClock() }, cancellation).ConfigureAwait(false);
    }

    public Task UpdateAsync(int vcpus, int memoryMib, CancellationToken cancellation) => vcpus <= _options.Vcpus && memoryMib <= _options.MemoryMib
        ? Task.CompletedTask
        : Task.FromException(new HearthException(
            $"The pod's machine has {_options.Vcpus} vCPUs and {_options.MemoryMib} MiB and cannot grow to {vcpus} and {memoryMib} while it runs: make the pod anew with larger limits."));

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _stopping = true;
        if (_copies is not null)
        {
            await _copies.DisposeAsync().ConfigureAwait(false);
        }

        await ShutDownAsync().ConfigureAwait(false);
        if (_names is not null)
        {
            await _names.DisposeAsync().ConfigureAwait(false);
        }

        await _parts.DisposeAsync().ConfigureAwait(false);
        await Stopped.ConfigureAwait(false);
        _drives.Dispose();
        _copying.Dispose();
        _joining.Dispose();
    }

    // A drive is read-only, and cannot become anything else.
    private static bool IsImage(string? type, string? source, IEnumerable<string> options) =>
        type is "erofs" or "squashfs" or "ext4" && options.Contains("ro") && File.Exists(source);

    private static string AddRoot(SharedFolder shared, string bundle, RuntimeSpec spec, IReadOnlyList<Mount> rootfs) => rootfs.Count > 0
        ? shared.AddMounts(rootfs)
        : shared.AddBind(Path.GetFullPath(spec.Root?.Path is { Length: > 0 } root ? root : "rootfs", bundle), recursive: true, ReadOnlyPart.Nothing, keepsUp: false).Name;

    /// <summary>Without virtio-fs: what the root has now, on a drive; what the container changes stays in the machine.</summary>
    private async Task<RootFilesystem> AttachCopiedRootAsync(
        string containerId, string bundle, RuntimeSpec spec, IReadOnlyList<Mount> rootfs, CancellationToken cancellation)
    {
        string image = $"{_options.Config.Daemon.Root}/scratch/root-{RandomBytes.Name()}.ext4";
        // Beside the template of scratch disks, for root's eyes only.
        Directory.CreateDirectory(Path.GetDirectoryName(image)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        _parts.WillMake(image);
        await _copying.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            using (var mounted = new SharedFolder(_parts.Folder.Shared))
            {
                await RootImage.MakeAsync(mounted.PathOf(AddRoot(mounted, bundle, spec, rootfs)), image, cancellation).ConfigureAwait(false);
            }

            return await AttachImageAsync(containerId, new Mount { Type = "ext4", Source = image, Options = { "ro" } }, cancellation).ConfigureAwait(false);
        }
        finally
        {
            // The monitor has opened it: so it goes with the machine, whatever happens to this process.
            File.Delete(image);
            _parts.Forget(image);
            _copying.Release();
        }
    }

    private async Task<RootFilesystem> AttachImageAsync(string containerId, Mount mount, CancellationToken cancellation) => new()
    {
        Image = await AttachDriveAsync(containerId, mount.Type, mount.Source, mount.Options.Where(static option => option != "ro"), cancellation).ConfigureAwait(false),
        ScratchDirectory = _options.Config.Microvm.ScratchMib > 0 ? $"{GuestScratch}/{containerId}" : "",
    };

    private async Task<Filesystem> AttachDriveAsync(string containerId, string type, string source, IEnumerable<string> options, CancellationToken cancellation)
    {
        string path = Path.GetFullPath(source);
        string device = await _drives.AttachAsync(containerId, path, cancellation).ConfigureAwait(false);
        string[] kept = [.. options.Where(static option => option is not ("rw" or "loop"))];
        // Of a block device the length is 0 here: then any size will do.
        return new Filesystem { Type = type, Source = device, Options = { type == "ext4" ? [.. kept, "noload"] : kept }, DeviceBytes = (ulong)new FileInfo(path).Length };
    }

    /// <summary>The content of an image as a volume: mounted outside of the container, where its drive is waited for, and bound into it.</summary>
    private async Task<MountSpec> AttachImageVolumeAsync(string containerId, MountSpec mount, CancellationToken cancellation)
    {
        Filesystem image = await AttachDriveAsync(containerId, mount.Type!, mount.Source!, mount.Options.Where(static option => !IsOfTheBind(option)), cancellation).ConfigureAwait(false);
        string target = $"{GuestImages}/{containerId}-{Interlocked.Increment(ref _imageVolumeNumber)}";
        await Agent.MountAsync(new MountRequest { Filesystem = image, Target = target }, cancellation).ConfigureAwait(false);
        _imageVolumes.GetOrAdd(containerId, static _ => []).Add(target);
        return mount with { Type = "bind", Source = target, Options = ["rbind", .. mount.Options.Where(static option => IsOfTheBind(option) || option is "ro" or "nosuid" or "nodev" or "noexec")] };
    }

    // Which part of the image is bound into the container: the agent's to find, inside of the image.
    private static bool IsOfTheBind(string option) => option.StartsWith(MountSpec.Subdirectory, StringComparison.Ordinal);

    private async Task<MountSpec> AttachVolumeAsync(string containerId, MountSpec mount, CancellationToken cancellation)
    {
        bool isBind = mount.Type is "bind" or "rbind" || mount.Options.Any(static option => option is "bind" or "rbind");
        if (!isBind)
        {
            return mount;
        }

        if (mount.Destination.TrimEnd('/') == "/dev/shm")
        {
            return mount with { Type = "bind", Source = "/dev/shm", Options = ["rbind", "rw"] };
        }

        if (mount.Options.Any(static option => option is "shared" or "rshared"))
        {
            throw new HearthException(
                $"The mount at {mount.Destination} is to spread what the container mounts to the host (rshared), which a microVM cannot: use rslave, or a runtime of processes (handler oci).");
        }

        if (mount.Source is null || !Path.IsPathRooted(mount.Source))
        {
            throw new HearthException($"The mount at {mount.Destination} has no absolute source.");
        }

        ReadOnlyPart readOnly = mount.Options.Contains("rro") ? ReadOnlyPart.All : mount.Options.Contains("ro") ? ReadOnlyPart.Itself : ReadOnlyPart.Nothing;
        bool isReadOnly = readOnly != ReadOnlyPart.Nothing;
        string source;
        if (_parts.Shared is { } shared)
        {
            (string name, isReadOnly) = shared.AddBind(
                mount.Source,
                recursive: mount.Type == "rbind" || mount.Options.Contains("rbind"),
                readOnly,
                keepsUp: mount.Options.Any(static option => option is "slave" or "rslave"));
            Remember(containerId, name);
            source = $"{SharedFolder.GuestPath}/{name}";
        }
        else
        {
            (source, bool onlyRead) = await _copies!.AddAsync(containerId, mount.Source, cancellation).ConfigureAwait(false);
            isReadOnly |= onlyRead;
        }

        // In the guest it is one file system: what spreads there is nobody's business outside.
        return mount with
        {
            Type = "bind",
            Source = source,
            Options =
            [
                "rbind", isReadOnly ? "ro" : "rw",
                .. mount.Options.Where(static option => option is not ("bind" or "rbind" or "ro" or "rro" or "rw") && !HostMount.IsPropagation(option)),
            ],
        };
    }

    private void Remember(string containerId, string name) => _shown.GetOrAdd(containerId, static _ => []).Add(name);

    private async Task<string> WatchAsync()
    {
        Task<int> monitor = Monitor.Process.Exited;
        Task virtiofsd = _parts.Virtiofsd?.Exited ?? Task.Delay(Timeout.Infinite);
        Task first = await Task.WhenAny(monitor, Agent.Closed, virtiofsd).ConfigureAwait(false);
        string? reason = null;
        if (first != monitor)
        {
            // The agent's end is a panic's beginning, and virtiofsd ends with the monitor: that is then the reason.
            await Task.WhenAny(monitor, Task.Delay(s_panic)).ConfigureAwait(false);
            if (!monitor.IsCompleted && !_stopping)
            {
                reason = first == virtiofsd
                    ? $"virtiofsd, which serves the pod's volumes, has ended. {MonitorEnd.OfMemory(_parts.Cgroup)}{_parts.Virtiofsd!.Output.Lines(ConsoleLines)}"
                    : "The guest's agent has closed its connection.";
                Monitor.Process.Kill();
            }
        }

        int status = await monitor.ConfigureAwait(false);
        reason ??= _stopping ? "It was stopped." : _parts.ReasonOf(status);
        string console = _stopping ? "" : Monitor.Process.Output.Lines(ConsoleLines);
        return console.Length > 0 ? $"{reason}\nThe end of its console:\n{console}" : reason;
    }

    // What the guest holds back of files on volumes is written out by its own end.
    private async Task ShutDownAsync()
    {
        if (Monitor.Process.Exited.IsCompleted)
        {
            return;
        }

        using var limit = new CancellationTokenSource(s_shutdown);
        try
        {
            await Agent.ShutdownAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or TtrpcException)
        {
            // A machine that is paused, or hangs, is ended all the same.
        }
    }
}
