using System.Globalization;
using Hearth.Linux;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>
/// The stand-in's place in the cgroup that the manager has for the container: a cgroup of its own below it, beside that of the machine
/// (which the shim makes), since the kernel gives no controllers below a cgroup with processes. Managers find the container's cgroup
/// by the stand-in, and count the machine in it. On a host with version 2.
/// </summary>
internal static class StandInCgroup
{
    private const string Name = "stand-in";
    private const int PatienceMs = 2000;
    private const int PauseMs = 20;

    public static void Enter(RuntimeSpec spec, int pid)
    {
        if (FolderOf(spec) is not { } folder)
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText($"{folder}/cgroup.procs", pid.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OciException($"The container's cgroup {Path.GetDirectoryName(folder)} (linux.cgroupsPath) cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Takes it away, and the container's, when both have ended. Somebody else's processes keep it there.</summary>
    public static void Leave(RuntimeSpec spec)
    {
        if (FolderOf(spec) is not { } folder)
        {
            return;
        }

        for (int waitedMs = 0; !TryRemove(folder) && waitedMs < PatienceMs; waitedMs += PauseMs)
        {
            // The stand-in is on its way out.
            Thread.Sleep(PauseMs);
        }
    }

    private static bool TryRemove(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder);
            }

            Directory.Delete(Path.GetDirectoryName(folder)!);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody is in it still: after a while it is the manager's to remove.
            return false;
        }
    }

    private static string? FolderOf(RuntimeSpec spec) =>
        CgroupsPath.Parse(spec.Linux?.CgroupsPath) is { } path && CgroupMounts.FindUnified() is { } mount ? $"{mount}/{path}/{Name}" : null;
}
