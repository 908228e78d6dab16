using System.Text.Json;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>
/// The container's files as the stand-in's root, in a mount namespace of its own: managers that want a container's files (podman cp)
/// enter the mount namespace of the process whose number they have, and must not find this host's there.
/// </summary>
internal sealed class StandInRoot
{
    private const string Config = "config.json";

    private readonly ManualResetEventSlim _asked = new();
    private readonly ManualResetEventSlim _done = new();
    private string? _bundle;
    private string? _failure;

    /// <summary>Waits to be asked once, and does it. Thread: the process's first.</summary>
    public void Serve()
    {
        _asked.Wait();
        if (_bundle is null)
        {
            return;
        }

        try
        {
            Change(RuntimeSpec.Parse(File.ReadAllBytes(Path.Combine(_bundle, Config))));
        }
        catch (Exception e) when (e is HearthException or IOException or UnauthorizedAccessException or JsonException)
        {
            _failure = e.Message;
        }

        _done.Set();
    }

    /// <summary>Has it done. Thread: any other.</summary>
    /// <returns>Why it cannot be; null where it is.</returns>
    public string? Enter(string bundle)
    {
        _bundle = bundle;
        _asked.Set();
        _done.Wait();
        return _failure;
    }

    /// <summary>It will not be asked for (any more).</summary>
    public void Close() => _asked.Set();

    private static void Change(RuntimeSpec spec)
    {
        string path = spec.Root!.Path;
        Namespaces.Unshare(Sched.CLONE_NEWNS);
        Mounts.Mount(null, "/", null, SysMount.MS_REC | SysMount.MS_SLAVE);
        Mounts.Mount(path, path, null, SysMount.MS_BIND | SysMount.MS_REC);
        using var root = new RootDirectory(path);
        foreach (MountSpec mount in spec.Mounts)
        {
            if (mount.Source is { } source && (mount.Type is "bind" or "rbind" || mount.Options.Any(static option => option is "bind" or "rbind")))
            {
                Bind(root, source, mount.Destination, mount.Options.Contains("ro"));
            }
        }

        Mounts.PivotRoot(root.Descriptor);
    }

    // A volume that cannot be shown is not there for the manager's copying; the container has it all the same.
    private static void Bind(RootDirectory root, string source, string destination, bool readOnly)
    {
        using (FileDescriptor? target = root.TryOpen(destination, Fcntl.O_PATH))
        {
            if (target is null || Mounts.TryMount(source, Mounts.PathOf(target), null, SysMount.MS_BIND | SysMount.MS_REC) != Errno.None)
            {
                return;
            }
        }

        if (readOnly)
        {
            using FileDescriptor mounted = root.Open(destination, Fcntl.O_PATH);
            Mounts.SetReadOnly(Mounts.PathOf(mounted));
        }
    }
}
