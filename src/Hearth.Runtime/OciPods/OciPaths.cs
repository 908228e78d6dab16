using Hearth.Configuration;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// Where a pod's things lie. What containers write is on the disk (<c>ROOT/oci/POD</c>): in the pod's own folder, which is
/// memory on most hosts, it would count against their limits.
/// </summary>
internal sealed class OciPaths(HearthConfig config, string podId, string podFolder)
{
    public string PodId => podId;

    public string PodFolder => podFolder;

    /// <summary>The OCI runtime's own state, of all pods.</summary>
    public string RuntimeState { get; } = StateOf(config);

    /// <summary>The bundle of the container that holds the pod's namespaces.</summary>
    public string Infra => Path.Combine(podFolder, "infra");

    public string InfraId => $"{podId}-infra";

    /// <summary>Mounted at containers' /dev/shm; where PodRuntime's specifications look for it.</summary>
    public string Shm => Path.Combine(podFolder, "shm");

    /// <summary>conmon leaves a file here for each container that has ended.</summary>
    public string Exits => Path.Combine(podFolder, "exits");

    public string Execs => Path.Combine(podFolder, "execs");

    /// <summary>All containers' writable layers.</summary>
    public string Writable => Path.Combine(config.Daemon.Root, "oci", podId);

    public static string StateOf(HearthConfig config) => Path.Combine(config.Daemon.State, "oci-runtime");

    /// <summary>Takes away what all pods have in common, if this was the last of them.</summary>
    public void RemoveShared()
    {
        foreach (string folder in new[] { RuntimeState, Path.GetDirectoryName(Writable)! })
        {
            try
            {
                Directory.Delete(folder, recursive: false);
            }
            catch (IOException)
            {
                // Another pod has something there, or nothing ever was.
            }
        }
    }

    public string WritableOf(string containerId) => Path.Combine(Writable, containerId);
}

/// <summary>A container's bundle.</summary>
internal sealed class ContainerPaths(string folder)
{
    public string Folder => folder;

    public string Spec => Path.Combine(folder, "config.json");

    /// <summary>The image, read-only.</summary>
    public string Image => Path.Combine(folder, "image");

    /// <summary>The image with what the container writes over it.</summary>
    public string Root => Path.Combine(folder, "rootfs");

    public string Volumes => Path.Combine(folder, "volumes");

    public string Pid => Path.Combine(folder, "pid");

    public string ConmonPid => Path.Combine(folder, "conmon.pid");

    /// <summary>conmon's: lines that resize a terminal or reopen a log.</summary>
    public string Control => Path.Combine(folder, "ctl");
}
