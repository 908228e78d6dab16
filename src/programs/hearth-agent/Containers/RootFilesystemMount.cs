using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Setup;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A container's root: its image, and over it what the container changes. Thread: one at a time.</summary>
internal sealed class RootFilesystemMount
{
    private static readonly string[] s_parts = ["rootfs", "scratch", "image"];
    private static readonly TimeSpan s_deviceTime = TimeSpan.FromSeconds(10);

    // Names what is being deleted. Not a random name: the agent has no OpenSSL, which the runtime would ask for one.
    private static int s_removed;

    private readonly string _directory;
    private readonly string? _scratchDirectory;

    private RootFilesystemMount(string directory, RootFilesystem rootfs)
    {
        _directory = directory;
        _scratchDirectory = rootfs.ScratchDirectory.Length > 0 ? rootfs.ScratchDirectory : null;
        string scratch = _scratchDirectory ?? $"{directory}/scratch";
        WritableLayer = rootfs.Direct ? null : $"{scratch}/upper";
    }

    /// <summary>The container's root.</summary>
    public string Root => $"{_directory}/rootfs";

    /// <summary>What the container has changed; null where that is in the image itself.</summary>
    public string? WritableLayer { get; }

    /// <summary>Mounts it. A root that is read-only for the container has the layer too: its mount points are made there.</summary>
    /// <exception cref="TtrpcException">NotFound: a device does not come. Unknown: the kernel refuses.</exception>
    public static RootFilesystemMount Create(string directory, RootFilesystem rootfs)
    {
        if (rootfs?.Image is null)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A container needs rootfs.image.");
        }

        var mount = new RootFilesystemMount(directory, rootfs);
        foreach (string part in s_parts)
        {
            Directory.CreateDirectory($"{directory}/{part}");
        }

        try
        {
            if (rootfs.Direct)
            {
                MountFilesystem(rootfs.Image, mount.Root, 0);
                return mount;
            }

            MountFilesystem(rootfs.Image, $"{directory}/image", SysMount.MS_RDONLY);
            string scratch = $"{directory}/scratch";
            if (mount._scratchDirectory is { } shared)
            {
                Directory.CreateDirectory(shared);
                scratch = shared;
            }
            else
            {
                MountFilesystem(rootfs.Scratch ?? new Filesystem { Type = "tmpfs", Source = "tmpfs", Options = { "mode=0755" } }, scratch, 0);
            }

            Directory.CreateDirectory($"{scratch}/upper");
            Directory.CreateDirectory($"{scratch}/work");
            Mounts.Mount("overlay", mount.Root, "overlay", 0, $"lowerdir={directory}/image,upperdir={scratch}/upper,workdir={scratch}/work");
            return mount;
        }
        catch
        {
            mount.Remove();
            throw;
        }
    }

    /// <summary>Mounts something in the guest; a block device is waited for.</summary>
    public static void MountFilesystem(Filesystem filesystem, string target, uint flags)
    {
        MountOptions options = MountOptions.Parse(filesystem.Options, filesystem.Type);
        flags |= options.Flags;
        if (filesystem.Type != "bind" && filesystem.Source.StartsWith("/dev/", StringComparison.Ordinal))
        {
            WaitForDevice(filesystem.Source, filesystem.DeviceBytes);
        }

        try
        {
            if ((flags & SysMount.MS_BIND) == 0)
            {
                Mounts.Mount(filesystem.Source, target, filesystem.Type, flags, options.Data);
            }
            else
            {
                Mounts.Mount(filesystem.Source, target, null, flags & (SysMount.MS_BIND | SysMount.MS_REC));
                if ((flags & ~(SysMount.MS_BIND | SysMount.MS_REC)) != 0)
                {
                    Mounts.Mount(null, target, null, SysMount.MS_REMOUNT | flags);
                }
            }

            if (options.Propagation != 0)
            {
                Mounts.Mount(null, target, null, options.Propagation);
            }
        }
        catch (LinuxException e)
        {
            throw new TtrpcException(StatusCode.Unknown, e.Message, e);
        }
    }

    public void Remove()
    {
        foreach (string part in s_parts)
        {
            Mounts.Detach($"{_directory}/{part}");
        }

        // Not recursively: if a mount were still there, what it shows is not ours to delete.
        foreach (string part in s_parts)
        {
            if (Directory.Exists($"{_directory}/{part}"))
            {
                Directory.Delete($"{_directory}/{part}");
            }
        }

        Directory.Delete(_directory);
        RemoveScratch();
    }

    // Under another name first: the container's own is free at once, however much there is to delete.
    private void RemoveScratch()
    {
        if (_scratchDirectory is null || !Directory.Exists(_scratchDirectory))
        {
            return;
        }

        string removed = $"{_scratchDirectory}.removed-{Interlocked.Increment(ref s_removed)}";
        Directory.Move(_scratchDirectory, removed);
        _ = Task.Run(() =>
        {
            try
            {
                Directory.Delete(removed, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                AgentLog.Error($"{removed} could not be deleted, and takes up room until the machine ends: {e.Message}");
            }
        });
    }

    private static void WaitForDevice(string path, ulong bytes)
    {
        const ulong sectorBytes = 512;
        string size = $"/sys/class/block/{Path.GetFileName(path)}/size";
        var backoff = new Backoff(s_deviceTime);
        while (true)
        {
            ulong sectors = File.Exists(path) && File.Exists(size) && ulong.TryParse(File.ReadAllText(size), out ulong number) ? number : 0;
            if (bytes == 0 ? sectors > 0 : sectors == bytes / sectorBytes)
            {
                return;
            }

            if (backoff.IsOver)
            {
                throw new TtrpcException(
                    StatusCode.NotFound,
                    $"The block device {path} did not come in {s_deviceTime.TotalSeconds} s: it has {sectors * sectorBytes} bytes where {(bytes == 0 ? "some" : bytes)} are awaited.");
            }

            Thread.Sleep(backoff.Pause);
        }
    }
}
