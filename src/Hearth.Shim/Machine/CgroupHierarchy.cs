using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// Which of the host's cgroup versions pods' cgroups are made in (<see cref="CgroupMounts.FindPodControllers"/>), and with which controllers. Thread: any.
/// </summary>
internal sealed record CgroupHierarchy
{
    /// <summary>1 or 2.</summary>
    public required int Version { get; init; }

    /// <summary>Where each controller is mounted.</summary>
    public required IReadOnlyDictionary<string, string> Mounts { get; init; }

    /// <summary>Controllers that are nowhere.</summary>
    public IReadOnlyList<string> Missing => [.. CgroupMounts.PodControllers.Except(Mounts.Keys)];

    /// <summary>Why they are missing.</summary>
    public required string Problem { get; init; }

    /// <summary>This host's.</summary>
    public static CgroupHierarchy OfHost() => Find(File.ReadAllLines("/proc/mounts"));

    /// <param name="mounts">The lines of <c>/proc/mounts</c>.</param>
    public static CgroupHierarchy Find(IReadOnlyList<string> mounts)
    {
        (int version, IReadOnlyDictionary<string, string> found) = CgroupMounts.FindPodControllers(mounts, JailCgroup.TryRead);
        return new CgroupHierarchy
        {
            Version = version,
            Mounts = found,
            Problem = version == 1 ? "no cgroup v1 hierarchy with it is mounted" : "the host's cgroup v2 does not have it (cgroup.controllers)",
        };
    }

    /// <summary>Makes a cgroup and those above it, and gives it the controllers for those below.</summary>
    /// <returns>With the controllers that it could be given.</returns>
    /// <exception cref="HearthException">It cannot be made.</exception>
    public CgroupHierarchy Enable(string cgroup)
    {
        var usable = new Dictionary<string, string>(Mounts);
        string problem = Problem;
        foreach (string mount in Mounts.Values.Distinct())
        {
            string folder = mount;
            foreach (string name in cgroup.Split('/').Prepend(""))
            {
                folder = name.Length == 0 ? folder : $"{folder}/{name}";
                MakeFolder(folder);
                foreach (string controller in Version == 2 ? usable.Keys.ToArray() : [])
                {
                    try
                    {
                        JailCgroup.WriteControl($"{folder}/cgroup.subtree_control", $"+{controller}");
                    }
                    catch (LinuxException e)
                    {
                        usable.Remove(controller);
                        problem = $"{folder}/cgroup.subtree_control does not take it ({e.Reason})";
                    }
                }
            }
        }

        return this with { Mounts = usable, Problem = problem };
    }

    private static void MakeFolder(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HearthException($"The cgroup {folder}, which pods' own are below, cannot be made: {e.Message} jail_cgroup = \"\" in [microvm] of hearth.toml does without.", e);
        }
    }
}
