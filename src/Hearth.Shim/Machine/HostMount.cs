using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Machine;

/// <summary>What of a mount cannot be written to.</summary>
internal enum ReadOnlyPart
{
    Nothing,

    /// <summary>What is mounted below it stays as it is.</summary>
    Itself,

    /// <summary>With all that is mounted below it.</summary>
    All,
}

/// <summary>Mounts that a manager describes, as fstab and containerd write them. Thread: any of the mount namespace that is meant.</summary>
internal static class HostMount
{
    // The kernel takes one page of options.
    private const int MaxData = 4095;

    private static readonly Dictionary<string, uint> s_flags = new()
    {
        ["ro"] = SysMount.MS_RDONLY,
        ["nosuid"] = SysMount.MS_NOSUID,
        ["nodev"] = SysMount.MS_NODEV,
        ["noexec"] = SysMount.MS_NOEXEC,
        ["sync"] = SysMount.MS_SYNCHRONOUS,
        ["dirsync"] = SysMount.MS_DIRSYNC,
        ["noatime"] = SysMount.MS_NOATIME,
        ["nodiratime"] = SysMount.MS_NODIRATIME,
        ["relatime"] = SysMount.MS_RELATIME,
        ["strictatime"] = SysMount.MS_STRICTATIME,
        ["bind"] = SysMount.MS_BIND,
        ["rbind"] = SysMount.MS_BIND | SysMount.MS_REC,
    };

    // What says what is so anyway, or is said to other programs.
    private static readonly HashSet<string> s_ignored = ["rw", "suid", "dev", "exec", "async", "atime", "diratime", "defaults", "loop"];

    /// <summary>Makes one of the mounts of a container's root.</summary>
    /// <exception cref="HearthException">The kernel refuses.</exception>
    public static void Mount(Mount mount, string target)
    {
        uint flags = mount.Type is "bind" or "rbind" ? SysMount.MS_BIND | (mount.Type == "rbind" ? SysMount.MS_REC : 0) : 0;
        var data = new List<string>();
        foreach (string option in mount.Options)
        {
            if (s_flags.TryGetValue(option, out uint flag))
            {
                flags |= flag;
            }
            else if (!s_ignored.Contains(option) && !IsPropagation(option))
            {
                data.Add(option);
            }
        }

        if ((flags & SysMount.MS_BIND) != 0)
        {
            Bind(mount.Source, target, recursive: (flags & SysMount.MS_REC) != 0, (flags & SysMount.MS_RDONLY) != 0 ? ReadOnlyPart.Itself : ReadOnlyPart.Nothing, keepsUp: false);
            return;
        }

        string options = string.Join(',', data);
        if (Encoding.UTF8.GetByteCount(options) <= MaxData)
        {
            Mounts.Mount(mount.Source, target, mount.Type, flags, options);
        }
        else
        {
            MountRelative(mount, target, flags, data);
        }
    }

    /// <summary>Binds a file or directory of the host.</summary>
    /// <param name="source">Any path.</param>
    /// <param name="target">One of the same kind.</param>
    /// <param name="recursive">With what is mounted below.</param>
    /// <param name="readOnly">What of it.</param>
    /// <param name="keepsUp">What the host mounts below it later appears here.</param>
    public static void Bind(string source, string target, bool recursive, ReadOnlyPart readOnly, bool keepsUp)
    {
        ManagerMounts.Bind(source, target, recursive);
        // Never shared: nothing that happens here is to reach the host.
        Mounts.Mount(null, target, null, (keepsUp ? SysMount.MS_SLAVE : SysMount.MS_PRIVATE) | SysMount.MS_REC);
        if (readOnly == ReadOnlyPart.Itself)
        {
            Mounts.SetReadOnly(target);
        }
        else if (readOnly == ReadOnlyPart.All)
        {
            Mounts.SetAllReadOnly(target);
        }
    }

    /// <summary>Whether an option says how mounts spread, and nothing of the mount itself.</summary>
    public static bool IsPropagation(string option) =>
        option is "private" or "rprivate" or "slave" or "rslave" or "shared" or "rshared" or "unbindable" or "runbindable";

    // An overlay of so many layers that their paths do not fit: they are named from the folder that they have in common.
    private static void MountRelative(Mount mount, string target, uint flags, List<string> data)
    {
        const string key = "lowerdir=";
        int at = data.FindIndex(static option => option.StartsWith(key, StringComparison.Ordinal));
        if (at < 0)
        {
            throw new HearthException($"The options of the {mount.Type} mount of {mount.Source} are longer than the {MaxData} bytes that the kernel takes.");
        }

        string[] layers = data[at][key.Length..].Split(':');
        string common = CommonFolder(layers);
        data[at] = key + string.Join(':', layers.Select(layer => layer[common.Length..].TrimStart('/')));
        Namespaces.OnOwnThread(() =>
        {
            // Its own working directory.
            Namespaces.Unshare(Sched.CLONE_FS);
            ProcessImage.ChangeDirectory(common);
            Mounts.Mount(mount.Source, target, mount.Type, flags, string.Join(',', data));
            return true;
        });
    }

    private static string CommonFolder(string[] paths)
    {
        string common = Path.GetDirectoryName(paths[0]) ?? "/";
        while (common != "/" && !paths.All(path => path.StartsWith(common + "/", StringComparison.Ordinal)))
        {
            common = Path.GetDirectoryName(common) ?? "/";
        }

        return common;
    }
}
