using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Setup;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A container's root: its image, and over it what the container changes. Thread: one at a time.</summary>
internal sealed class RootFilesystemMount
{
    private static readonly TimeSpan s_deviceTime = TimeSpan.FromSeconds(10);

    private readonly string _directory;

    private RootFilesystemMount(string directory)
    {
        _directory = directory;
    }

    /// <summary>The container's root.</summary>
    public string Root => $"{_directory}/rootfs";

    /// <summary>What the container has changed.</summary>
    public string WritableLayer => $"{_directory}/scratch/upper";

    /// <summary>Mounts it. A root that is read-only for the container has the layer too: its mount points are made there.</summary>
    /// <exception cref="TtrpcException">NotFound: a device does not come. Unknown: the kernel refuses.</exception>
    public static RootFilesystemMount Create(string directory, RootFilesystem rootfs)
    {
        if (rootfs?.Image is null)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A container needs rootfs.image.");
        }

        var mount = new RootFilesystemMount(directory);
        foreach (string part in (string[])["image", "scratch", "rootfs"])
        {
            Directory.CreateDirectory($"{directory}/{part}");
        }

        try
        {
            MountFilesystem(rootfs.Image, $"{directory}/image", SysMount.MS_RDONLY);
            MountFilesystem(rootfs.Scratch ?? new Filesystem { Type = "tmpfs", Source = "tmpfs", Options = { "mode=0755" } }, $"{directory}/scratch", 0);
            Directory.CreateDirectory($"{directory}/scratch/upper");
            Directory.CreateDirectory($"{directory}/scratch/work");
            Mounts.Mount("overlay", mount.Root, "overlay", 0, $"lowerdir={directory}/image,upperdir={directory}/scratch/upper,workdir={directory}/scratch/work");
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
            WaitForDevice(filesystem.Source);
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
        foreach (string part in (string[])["rootfs", "scratch", "image"])
        {
            Mounts.Detach($"{_directory}/{part}");
        }

        // Not recursively: if a mount were still there, what it shows is not ours to delete.
        foreach (string part in (string[])["rootfs", "scratch", "image"])
        {
            if (Directory.Exists($"{_directory}/{part}"))
            {
                Directory.Delete($"{_directory}/{part}");
            }
        }

        Directory.Delete(_directory);
    }

    private static void WaitForDevice(string path)
    {
        DateTime deadline = DateTime.UtcNow + s_deviceTime;
        while (!File.Exists(path))
        {
            if (DateTime.UtcNow > deadline)
            {
                throw new TtrpcException(StatusCode.NotFound, $"The block device {path} did not come in {s_deviceTime.TotalSeconds} s.");
            }

            Thread.Sleep(1);
        }
    }
}
