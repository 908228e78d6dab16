using System.Diagnostics;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's containerd with folders of its own, which finds our shim on its PATH.</summary>
public sealed class ContainerdLab : ManagerLab
{
    public const string Runtime = "io.containerd.hearth.v2";

    private Process? _containerd;

    internal string Socket => Path.Combine(Folder, "ctd.sock");

    private string Programs => Path.Combine(Folder, "bin");

    private string TaskState => Path.Combine(Folder, "ctd-state", "io.containerd.runtime.v2.task", "default");

    private protected override string[] Counted => [TaskState];

    /// <summary>Runs ctr to its end.</summary>
    internal (int Status, string Output, string Errors) Ctr(params string[] arguments) => Run("", "ctr", ["-a", Socket, .. arguments]);

    /// <summary>Runs ctr, which must succeed.</summary>
    internal string Ok(params string[] arguments)
    {
        (int status, string output, string errors) = Ctr(arguments);
        Assert.True(status == 0, $"ctr {string.Join(' ', arguments)}: {status}: {output}{errors}\n{Tail()}");
        return output;
    }

    /// <summary>What ctr's containers have above theirs: the cgroup of its namespace.</summary>
    internal static bool IsContainerds(string line) => line is "cgroup /sys/fs/cgroup/default";

    /// <summary>Removes a task that has ended with a status, of which ctr warns.</summary>
    internal void Forgets(string task, int exit)
    {
        (int status, string output, string errors) = Ctr("task", "rm", task);
        Assert.True(status == 0 && errors.Contains($"exit code {exit}\""), $"ctr task rm {task}: {status}: {output}{errors}\n{Tail()}");
    }

    /// <summary>containerd ends and comes back; containers go on.</summary>
    internal void Restart()
    {
        StopManager();
        StartDaemon();
    }

    private protected override void StartManager()
    {
        Directory.CreateDirectory(Programs);
        File.CreateSymbolicLink(Path.Combine(Programs, "containerd-shim-hearth-v2"), Lab.Program("hearth-shim"));
        string networks = Path.Combine(Folder, "net.d");
        Directory.CreateDirectory(networks);
        File.WriteAllText(
            Path.Combine(networks, "10-tests.conflist"),
            $$$"""
            {"cniVersion": "0.4.0", "name": "hearth-ctd", "plugins": [
              {"type": "bridge", "bridge": "hearthctd0", "isGateway": true, "ipMasq": true,
               "ipam": {"type": "host-local", "dataDir": "{{{Folder}}}/ipam", "ranges": [[{"subnet": "10.78.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
            """);
        // What is said here is containerd's own interface for pods (CRI); ctr needs none of it.
        File.WriteAllText(
            Path.Combine(Folder, "config.toml"),
            $"""
            version = 2
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "{Pause}"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "/usr/lib/cni"
                conf_dir = "{networks}"
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
                runtime_type = "io.containerd.runc.v2"
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.hearth]
                runtime_type = "{Runtime}"
            """);
        StartDaemon();
        Eventually(() => Ctr("image", "pull", "--plain-http", Busybox).Status == 0, () => "the image does not come");
    }

    private protected override void StopManager()
    {
        // Terminated, not killed: as its service is restarted.
        Pods.PodLab.Run("kill", $"{_containerd!.Id}");
        _containerd.WaitForExit();
    }

    private protected override void Prepare(ProcessStartInfo start)
    {
        base.Prepare(start);
        start.Environment["PATH"] = Programs + ":" + Environment.GetEnvironmentVariable("PATH");
    }

    private void StartDaemon()
    {
        _containerd = Start(
            "containerd", "--config", Path.Combine(Folder, "config.toml"), "--root", Path.Combine(Folder, "ctd-root"), "--state", Path.Combine(Folder, "ctd-state"), "--address", Socket);
        Eventually(() => Ctr("version").Status == 0, () => "containerd does not answer");
    }
}
