using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>
/// The stand-in's place: the cgroup that the manager has for the container. Managers look there for what the container takes, by its name or
/// by the stand-in, so the machine is below it, and the limits are its own. On a host with version 2.
/// </summary>
internal static class StandInCgroup
{
    private const int PatienceMs = 2000;
    private const int PauseMs = 20;

    /// <summary>Where it is; null where the manager has no cgroup for the container, or the host none of version 2.</summary>
    public static string? FolderOf(RuntimeSpec spec) =>
        CgroupsPath.Parse(spec.Linux?.CgroupsPath) is { } path && CgroupMounts.FindUnified() is { } mount ? $"{mount}/{path}" : null;

    /// <summary>Makes it, and puts the stand-in there.</summary>
    /// <returns>
    /// Whether a machine can be in the manager's cgroup too. Podman lets its pods' cgroups use no devices but a container's, and a monitor needs
    /// <c>/dev/kvm</c>.
    /// </returns>
    /// <exception cref="OciException">It cannot be made.</exception>
    public static bool Enter(string? folder, int pid)
    {
        if (folder is null)
        {
            return true;
        }

        try
        {
            Directory.CreateDirectory(folder);
            Put(folder, pid);
            return MayUseKvm(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OciException($"The container's cgroup {folder} (linux.cgroupsPath) cannot be used: {e.Message}", e);
        }
    }

    // Only a process in the cgroup is told: this one, for as long as it takes.
    private static bool MayUseKvm(string folder)
    {
        const string unified = "0::";
        string own = File.ReadLines("/proc/self/cgroup").First(static line => line.StartsWith(unified, StringComparison.Ordinal))[unified.Length..];
        Put(folder, Environment.ProcessId);
        try
        {
            FileDescriptor.Open("/dev/kvm", Fcntl.O_RDWR).Dispose();
            return true;
        }
        catch (LinuxException e)
        {
            // A host without KVM is the monitor's to complain of.
            return e.Errno != Errno.EPERM;
        }
        finally
        {
            Put($"{CgroupMounts.FindUnified()}{own}", Environment.ProcessId);
        }
    }

    private static void Put(string folder, int pid) => File.WriteAllText($"{folder}/cgroup.procs", pid.ToString(CultureInfo.InvariantCulture));

    /// <summary>Takes it away, when stand-in and machine have ended.</summary>
    /// <returns>False where others' processes keep it there.</returns>
    public static bool Leave(string? folder)
    {
        for (int waitedMs = 0; folder is not null && !TryRemove(folder); waitedMs += PauseMs)
        {
            if (waitedMs >= PatienceMs)
            {
                return false;
            }

            // The stand-in is on its way out.
            Thread.Sleep(PauseMs);
        }

        return true;
    }

    private static bool TryRemove(string folder)
    {
        try
        {
            Directory.Delete(folder);
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
}
