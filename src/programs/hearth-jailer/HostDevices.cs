using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Jailer;

/// <summary>The device nodes of a jail: those that the host has, by the host's own numbers.</summary>
internal static class HostDevices
{
    private const uint Mode = SysStat.S_IFCHR | 0x180;

    // Directory in the jail, name, what is missing without it.
    private static readonly (string Directory, string Name, string Without)[] s_devices =
    [
        ("dev", "kvm", "No machine can be started."),
        ("net", "tun", "No network interface can be given to a machine."),
        ("dev", "urandom", "MMDS version 2 will not be available to use."),
        ("dev", "userfaultfd", ""),
    ];

    /// <summary>Looks at the host's devices; to be called before the jail is entered.</summary>
    /// <returns>Directory, name and device number of each that is there.</returns>
    public static IReadOnlyList<(string Directory, string Name, ulong Device)> Find(Action<string> warn)
    {
        var found = new List<(string, string, ulong)>();
        foreach ((string directory, string name, string without) in s_devices)
        {
            string path = directory == "net" ? $"/dev/net/{name}" : $"/dev/{name}";
            try
            {
                using FileDescriptor node = FileDescriptor.Open(path, Fcntl.O_PATH);
                FileStatus status = FileStatus.Of(node);
                if (status.IsCharacterDevice)
                {
                    found.Add((directory, name, status.Device));
                    continue;
                }
            }
            catch (LinuxException e) when (e.Errno is Errno.ENOENT or Errno.ENOTDIR)
            {
                // The host does without.
            }

            if (without.Length > 0)
            {
                warn($"Warning! The host has no {path}, so the jail has none. {without}");
            }
        }

        return found;
    }

    /// <summary>Makes them in the jail's root, with its <c>dev</c> and <c>dev/net</c>.</summary>
    public static void Make(DirectoryHandle root, IReadOnlyList<(string Directory, string Name, ulong Device)> devices, uint uid, uint gid, uint folderMode)
    {
        using DirectoryHandle dev = root.MakeDirectory("dev", folderMode);
        using DirectoryHandle net = dev.MakeDirectory("net", folderMode);
        foreach ((string directory, string name, ulong device) in devices)
        {
            (directory == "net" ? net : dev).ReplaceNode(name, Mode, device, uid, gid);
        }

        net.SetOwner(uid, gid, folderMode);
        dev.SetOwner(uid, gid, folderMode);
    }
}
