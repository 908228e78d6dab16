using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Machine;

/// <summary>
/// The one folder that virtio-fs shows the guest: what containers see of the host is mounted in it, under numbers that are
/// not used twice. The mounts are in this process's mount namespace and end with it. Thread: any.
/// </summary>
internal sealed class SharedFolder : IDisposable
{
    /// <summary>Where the guest has it.</summary>
    public const string GuestPath = "/run/hearth/shared";

    /// <summary>What the guest mounts it by.</summary>
    public const string Tag = "hearth";

    private readonly string _path;
    private int _last;

    /// <param name="path">An empty folder.</param>
    public SharedFolder(string path)
    {
        _path = path;
        // Its own file system: what is made here to be mounted on is gone with it.
        Mounts.Mount("hearth", path, "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC, "mode=0755,size=1m");
        Mounts.Mount(null, path, null, SysMount.MS_PRIVATE);
    }

    /// <summary>Shows a file or directory of the host.</summary>
    /// <returns>Its name here, and whether nothing in it can be written to, now or later.</returns>
    /// <exception cref="HearthException">It is not there, or cannot be mounted.</exception>
    public (string Name, bool IsSealed) AddBind(string source, bool recursive, ReadOnlyPart readOnly, bool keepsUp)
    {
        if (!Path.Exists(source))
        {
            throw new HearthException($"The mount's source {source} is not there: make it first.");
        }

        string name = Add(Directory.Exists(source), target => HostMount.Bind(source, target, recursive, readOnly, keepsUp));
        // The guest sees one file system: it can only be told of all of it that it is read-only.
        bool isSealed = readOnly switch
        {
            ReadOnlyPart.All => true,
            ReadOnlyPart.Itself => !keepsUp && !Mounts.HasWritableBelow($"{_path}/{name}"),
            _ => false,
        };
        return (name, isSealed);
    }

    /// <summary>Shows a root file system that a manager describes as mounts, each over the last.</summary>
    public string AddMounts(IReadOnlyList<Mount> mounts) => Add(isDirectory: true, target =>
    {
        try
        {
            foreach (Mount mount in mounts)
            {
                HostMount.Mount(mount, Path.Join(target, mount.Target));
            }
        }
        catch
        {
            Unmount(target);
            throw;
        }
    });

    /// <summary>Where something is on the host.</summary>
    public string PathOf(string name) => $"{_path}/{name}";

    /// <summary>Takes all of it away, in a process that goes on without it.</summary>
    public void Dispose() => Unmount(_path);

    /// <summary>Takes something away; what is gone is no error.</summary>
    public void Remove(string name)
    {
        string target = $"{_path}/{name}";
        Unmount(target);
        if (Directory.Exists(target))
        {
            Directory.Delete(target);
        }
        else
        {
            File.Delete(target);
        }
    }

    private string Add(bool isDirectory, Action<string> mount)
    {
        string name = Interlocked.Increment(ref _last).ToString(CultureInfo.InvariantCulture);
        string target = $"{_path}/{name}";
        if (isDirectory)
        {
            Directory.CreateDirectory(target);
        }
        else
        {
            File.WriteAllBytes(target, []);
        }

        try
        {
            mount(target);
            return name;
        }
        catch
        {
            Remove(name);
            throw;
        }
    }

    // Mounts may lie over each other.
    private static void Unmount(string target)
    {
        while (Mounts.Detach(target))
        {
        }
    }
}
