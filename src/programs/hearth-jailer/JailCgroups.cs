using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Jailer;

/// <summary>
/// Puts this process into cgroups of its own. Source: Firecracker docs/jailer.md; Documentation/admin-guide/cgroup-v1 and
/// cgroup-v2.rst.
/// </summary>
internal static class JailCgroups
{
    private const uint Mode = 0x1ed;

    // Empty in a new cgroup of version 1, and no process can be moved there until both are set.
    private static readonly string[] s_inherited = ["cpuset.cpus", "cpuset.mems"];

    /// <param name="arguments">What is to be set.</param>
    /// <param name="parent">The cgroup above.</param>
    /// <exception cref="JailerException">A controller is not there, or refuses.</exception>
    public static void Enter(JailerArguments arguments, string parent)
    {
        if (arguments.CgroupVersion == 2)
        {
            EnterUnified(arguments, parent);
            return;
        }

        foreach (IGrouping<string, CgroupSetting> settings in arguments.Cgroups.GroupBy(static setting => setting.Controller))
        {
            string mountPoint = CgroupMounts.FindController(settings.Key)
                ?? throw new JailerException($"Controller {settings.Key} is unavailable: no cgroup v1 hierarchy with it is mounted (/proc/mounts).");
            using DirectoryHandle cgroup = Make(mountPoint, parent, arguments.Id, (above, made) =>
            {
                if (settings.Key == "cpuset")
                {
                    Inherit(above, made);
                }
            });
            Apply(cgroup, settings);
            // Every thread: "tasks" would move the one that writes, and the others only end at the exec.
            Write(cgroup, "cgroup.procs", "0");
        }
    }

    private static void EnterUnified(JailerArguments arguments, string parent)
    {
        string mountPoint = CgroupMounts.FindUnified()
            ?? throw new JailerException("Hierarchy not found: no cgroup v2 is mounted (/proc/mounts).");
        if (arguments.Cgroups.Count == 0)
        {
            // Prepared by someone else, or nothing is asked for.
            if (Directory.Exists($"{mountPoint}/{parent}"))
            {
                using DirectoryHandle prepared = Walk(mountPoint, parent);
                Write(prepared, "cgroup.procs", "0");
            }

            return;
        }

        string[] controllers = [.. arguments.Cgroups.Select(static setting => setting.Controller).Distinct()];
        string[] available = File.ReadAllText($"{mountPoint}/cgroup.controllers").Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        if (controllers.Except(available).FirstOrDefault() is { } missing)
        {
            throw new JailerException($"Controller {missing} is unavailable: {mountPoint}/cgroup.controllers does not have it.");
        }

        string enable = string.Join(' ', controllers.Select(static controller => $"+{controller}"));
        using DirectoryHandle cgroup = Make(mountPoint, parent, arguments.Id, (above, _) => Write(above, "cgroup.subtree_control", enable));
        Apply(cgroup, arguments.Cgroups);
        Write(cgroup, "cgroup.procs", "0");
    }

    // Each directory on the way is handed over once it is there, with the one above it.
    private static DirectoryHandle Make(string mountPoint, string parent, string id, Action<DirectoryHandle, DirectoryHandle> made)
    {
        DirectoryHandle current = DirectoryHandle.Open(mountPoint);
        foreach (string name in (string[])[.. parent.Split('/'), id])
        {
            using DirectoryHandle outer = current;
            current = outer.MakeDirectory(name, Mode);
            made(outer, current);
        }

        return current;
    }

    private static DirectoryHandle Walk(string mountPoint, string path)
    {
        DirectoryHandle current = DirectoryHandle.Open(mountPoint);
        foreach (string name in path.Split('/'))
        {
            using DirectoryHandle outer = current;
            current = outer.OpenDirectory(name);
        }

        return current;
    }

    private static void Inherit(DirectoryHandle above, DirectoryHandle cgroup)
    {
        foreach (string file in s_inherited)
        {
            if (Read(cgroup, file).Length == 0)
            {
                Write(cgroup, file, Read(above, file));
            }
        }
    }

    private static string Read(DirectoryHandle cgroup, string file) => File.ReadAllText($"{Mounts.PathOf(cgroup.Descriptor)}/{file}").Trim();

    private static void Apply(DirectoryHandle cgroup, IEnumerable<CgroupSetting> settings)
    {
        foreach (CgroupSetting setting in settings)
        {
            Write(cgroup, setting.File, setting.Value);
        }
    }

    private static void Write(DirectoryHandle cgroup, string file, string value)
    {
        try
        {
            using FileDescriptor open = FileDescriptor.Open($"{Mounts.PathOf(cgroup.Descriptor)}/{file}", Fcntl.O_WRONLY | Fcntl.O_NOFOLLOW);
            Pipe.WriteAll(open, Encoding.UTF8.GetBytes($"{value}\n"));
        }
        catch (LinuxException e)
        {
            throw new JailerException($"Writing \"{value}\" to {cgroup.Path}/{file} failed: {e.Reason}.");
        }
    }
}
