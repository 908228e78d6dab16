using System.Diagnostics;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>The containerd of the lab's Debian (1.6) with folders of its own, which finds our shim on its PATH.</summary>
public class ContainerdLab : ManagerLab
{
    public const string Runtime = "io.containerd.hearth.v2";

    /// <summary>CRI's handler where the shim is the pod itself.</summary>
    public const string SandboxHandler = "hearth-sandbox";

    private Process? _containerd;

    internal string Socket => Path.Combine(Folder, "ctd.sock");

    private string Programs => Path.Combine(Folder, "bin");

    /// <summary>Whose containerd and ctr: empty for the lab's own, else the Debian release that eng/setup.sh has unpacked them of.</summary>
    private protected virtual string Suite => "";

    /// <summary>How its version begins.</summary>
    private protected virtual string Release => "1.6.";

    /// <summary>Whether it has sandboxers.</summary>
    private protected virtual bool HasSandboxers => false;

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

    /// <summary>Starts what is not running yet; skips the test of a containerd that is not to be had here.</summary>
    internal void ReadyOrSkip()
    {
        if (Suite.Length > 0 && !File.Exists(Path.Combine(Unpacked, "containerd")))
        {
            string why = Unpacked[..^"/usr/bin".Length] + ".missing";
            Assert.Skip(File.Exists(why) ? File.ReadAllText(why).Trim() : $"{Unpacked} has no containerd: ./test gets it");
        }

        Ready();
        Assert.Contains(Release, Ctr("version").Output);
    }

    private string Unpacked => Path.Combine(Environment.GetEnvironmentVariable("HEARTH_CACHE") ?? "", "unpacked", $"containerd-{Suite}", "usr", "bin");

    /// <summary>containerd is killed where it stands, and comes back.</summary>
    internal void KillAndRestart()
    {
        PodLab.Run("kill", "-9", $"{_containerd!.Id}");
        _containerd.WaitForExit();
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
              {(HasSandboxers ? $"[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.{SandboxHandler}]\n    runtime_type = \"{Runtime}\"\n    sandboxer = \"shim\"" : "")}
            """);
        StartDaemon();
        Eventually(() => Ctr("image", "pull", "--plain-http", Busybox).Status == 0, () => "the image does not come");
    }

    private protected override void StopManager()
    {
        // Terminated, not killed: as its service is restarted.
        PodLab.Run("kill", $"{_containerd!.Id}");
        _containerd.WaitForExit();
    }

    private protected override void Prepare(ProcessStartInfo start)
    {
        base.Prepare(start);
        // The program itself is looked for on this process's PATH.
        if (Suite.Length > 0 && File.Exists(Path.Combine(Unpacked, start.FileName)))
        {
            start.FileName = Path.Combine(Unpacked, start.FileName);
        }

        start.Environment["PATH"] = (Suite.Length > 0 ? $"{Programs}:{Unpacked}:" : $"{Programs}:") + Environment.GetEnvironmentVariable("PATH");
    }

    private void StartDaemon()
    {
        _containerd = Start(
            "containerd", "--config", Path.Combine(Folder, "config.toml"), "--root", Path.Combine(Folder, "ctd-root"), "--state", Path.Combine(Folder, "ctd-state"), "--address", Socket);
        Eventually(() => Ctr("version").Status == 0, () => "containerd does not answer");
        using var cri = new CriClient(Socket);
        Eventually(() => Answers(cri), () => "containerd's CRI does not answer");
    }

    // It refuses everything until it has looked at what there is.
    private static bool Answers(CriClient cri)
    {
        try
        {
            _ = cri.Runtime.StatusAsync(new StatusRequest(), deadline: CriClient.Deadline).GetAwaiter().GetResult();
            return true;
        }
        catch (RpcException e)
        {
            // The second by whatever code the release has for it.
            return e.StatusCode != StatusCode.Unavailable && !e.Status.Detail.Contains("not initialized yet");
        }
    }
}
