using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>
/// The mount namespace that the shim was started in, whose mounts managers name. Those that are made after a pod's start do not all
/// appear in the shim's own: Podman keeps containers' roots private. Thread: any; set once, at the start.
/// </summary>
internal static class ManagerMounts
{
    private static FileDescriptor? s_space;

    /// <param name="space">Owned, to the process's end.</param>
    public static void Use(FileDescriptor space) => s_space = space;

    /// <summary>Binds what the manager has at <paramref name="source"/>, in this namespace.</summary>
    public static void Bind(string source, string target, bool recursive)
    {
        if (s_space is not { } space)
        {
            Mounts.Mount(source, target, null, SysMount.MS_BIND | (recursive ? SysMount.MS_REC : 0));
            return;
        }

        using FileDescriptor tree = Namespaces.OnOwnThread(() =>
        {
            Namespaces.Unshare(Sched.CLONE_FS);
            Namespaces.Enter(space, Sched.CLONE_NEWNS);
            return Mounts.Clone(source, recursive);
        });
        Mounts.Attach(tree, target);
    }
}
