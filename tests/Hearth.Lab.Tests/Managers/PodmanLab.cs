using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's Podman with conmon and CNI, folders of its own, and hearth-oci as its runtime.</summary>
public sealed class PodmanLab : ManagerLab
{
    private string Containers => Path.Combine(Folder, "containers.conf");

    private protected override string[] Counted => ["/run/hearth-oci"];

    /// <summary>Runs podman to its end.</summary>
    internal (int Status, string Output, string Errors) Podman(params string[] arguments) => Run("", "podman", arguments);

    /// <summary>Runs podman, which must succeed.</summary>
    /// <returns>What it printed, without the last line's end.</returns>
    internal string Ok(params string[] arguments)
    {
        (int status, string output, string errors) = Podman(arguments);
        Assert.True(status == 0, $"podman {string.Join(' ', arguments)}: {status}: {output}{errors}\n{Tail()}");
        return output.TrimEnd('\n');
    }

    /// <summary>What Podman makes once, for all containers: its bridge, rules, control groups, and mounts of its storage.</summary>
    internal bool IsPodmans(string line) =>
        line.StartsWith("rule ", StringComparison.Ordinal) || line.Contains("cni-podman") || line is "mount /run/netns" or "cgroup /sys/fs/cgroup/libpod_parent" or "cgroup /sys/fs/cgroup/libpod_parent/conmon" || line == $"mount {Folder}/storage/overlay";

    private protected override void StartManager()
    {
        string runtime = WriteOciRuntime();
        File.WriteAllText(
            Containers,
            $"""
            [containers]
            log_driver = "k8s-file"
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            infra_image = "{Pause}"
            runtime = "hearth"
            tmp_dir = "{Folder}/tmp"
            [engine.runtimes]
            hearth = ["{runtime}"]
            [network]
            cni_plugin_dirs = ["/usr/lib/cni"]
            network_config_dir = "{Folder}/net.d"
            """);
        File.WriteAllText(
            Path.Combine(Folder, "storage.conf"),
            $"""
            [storage]
            driver = "overlay"
            graphroot = "{Folder}/storage"
            runroot = "{Folder}/runroot"
            """);
        File.WriteAllText(Path.Combine(Folder, "registries.conf"), $"[[registry]]\nlocation = \"127.0.0.1:{Port}\"\ninsecure = true\n");
        Eventually(() => Podman("pull", "-q", Busybox).Status == 0, () => "the image does not come");
        Ok("pull", "-q", Pause);
    }

    private protected override void StopManager()
    {
        _ = Podman("rm", "-f", "-a", "-t", "0");
        PodLab.Run("umount", "-l", $"{Folder}/storage/overlay");
    }

    private protected override void Prepare(System.Diagnostics.ProcessStartInfo start)
    {
        base.Prepare(start);
        start.Environment["CONTAINERS_CONF"] = Containers;
        start.Environment["CONTAINERS_STORAGE_CONF"] = Path.Combine(Folder, "storage.conf");
        start.Environment["CONTAINERS_REGISTRIES_CONF"] = Path.Combine(Folder, "registries.conf");
    }
}
