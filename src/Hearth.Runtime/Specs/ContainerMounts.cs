using Hearth.Images;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>What is mounted in a container: what every one has, the pod's files, and the volumes.</summary>
internal static class ContainerMounts
{
    public static IReadOnlyList<MountSpec> Of(PodFiles files, string? shm, ContainerConfig config, IReadOnlyDictionary<int, Image> imageVolumes)
    {
        bool privileged = config.Security.Privileged;
        string access = privileged ? "rw" : "ro";
        List<MountSpec> mounts =
        [
            Mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            Mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            Mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            shm is null
                ? Mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
                : Mount("/dev/shm", "bind", shm, "rbind", "nosuid", "noexec", "nodev"),
            Mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            Mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", access),
            Mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", access),
        ];
        string fileAccess = config.Security.ReadonlyRoot ? "ro" : "rw";
        mounts.Add(Mount("/etc/hostname", "bind", files.Hostname, "rbind", "rprivate", fileAccess));
        mounts.Add(Mount("/etc/hosts", "bind", files.Hosts, "rbind", "rprivate", fileAccess));
        mounts.Add(Mount("/etc/resolv.conf", "bind", files.ResolvConf, "rbind", "rprivate", fileAccess));

        var volumes = new List<MountSpec>();
        for (int i = 0; i < config.Mounts.Count; i++)
        {
            volumes.Add(Volume(config.Mounts[i], imageVolumes.GetValueOrDefault(i)));
        }

        // A volume at the same place stands instead; those above others come first, and those at one place in their order.
        mounts.RemoveAll(mount => volumes.Any(volume => volume.Destination == mount.Destination));
        return [.. mounts, .. volumes.OrderBy(static volume => volume.Destination.Count(static c => c == '/'))];
    }

    private static MountSpec Volume(ContainerMount mount, Image? image)
    {
        string destination = Destination(mount.ContainerPath);
        if (image is not null)
        {
            if (!mount.Readonly)
            {
                throw new PodException(PodFault.InvalidArgument, $"The mount at {destination} is of an image, which is read-only, and does not say so (readonly).");
            }

            // The handler finds the file.
            string[] part = mount.ImageSubPath.Length > 0 ? [MountSpec.Subdirectory + SubPath(mount.ImageSubPath, destination)] : [];
            return Mount(destination, "erofs", image.RootFilesystem, ["ro", "nosuid", "nodev", .. part]);
        }

        if (mount.RecursiveReadonly && (!mount.Readonly || mount.Propagation != MountPropagation.Private))
        {
            throw new PodException(PodFault.InvalidArgument, $"The mount at {destination} asks for recursive_read_only: that goes with readonly, and with private propagation only.");
        }

        string propagation = mount.Propagation switch
        {
            MountPropagation.HostToContainer => "rslave",
            MountPropagation.Bidirectional => "rshared",
            _ => "rprivate",
        };
        string access = mount.RecursiveReadonly ? "rro" : mount.Readonly ? "ro" : "rw";
        return Mount(destination, "bind", HostPaths.Source(mount.HostPath, destination), "rbind", propagation, access);
    }

    /// <summary>A path inside an image. Links on the way are the handler's to follow, and to keep inside.</summary>
    private static string SubPath(string path, string destination) =>
        path.StartsWith('/') || path.Contains('\0') || path.Split('/').Contains("..")
            ? throw new PodException(PodFault.InvalidArgument, $"The mount at {destination} is of \"{path.Replace('\0', '?')}\" in an image (image_sub_path): that is a relative path without \"..\".")
            : path;

    /// <summary>An absolute path without "." and "..".</summary>
    private static string Destination(string path)
    {
        if (path.Length == 0 || path.Contains('\0'))
        {
            throw new PodException(PodFault.InvalidArgument, "A mount has no path in the container, or one with a NUL character.");
        }

        string full = Path.GetFullPath("/" + path);
        return full.Length > 1 ? full.TrimEnd('/') : throw new PodException(PodFault.InvalidArgument, $"The mount at \"{path}\" would cover the container's root.");
    }

    private static MountSpec Mount(string destination, string type, string source, params string[] options) =>
        new() { Destination = destination, Type = type, Source = source, Options = options };
}
