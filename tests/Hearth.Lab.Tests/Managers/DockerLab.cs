using System.Diagnostics;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's dockerd with folders of its own, which starts a containerd of its own, and hearth-oci as one of its runtimes.</summary>
public class DockerLab : ManagerLab
{
    private Process? _dockerd;

    /// <summary>The runtime that containers are run with.</summary>
    internal virtual string Runtime => "hearth";

    private string Socket => Path.Combine(Folder, "docker.sock");

    // Where dockerd has its runtimes keep their containers.
    private string Containers => Path.Combine(Folder, "exec", "runtime-hearth", "moby");

    private protected override string[] Counted => [Containers];

    /// <summary>Runs docker to its end.</summary>
    internal (int Status, string Output, string Errors) Docker(params string[] arguments) => Run("", "docker", arguments);

    /// <summary>Runs docker, which must succeed.</summary>
    /// <returns>What it printed, without the last line's end.</returns>
    internal string Ok(params string[] arguments)
    {
        (int status, string output, string errors) = Docker(arguments);
        Assert.True(status == 0, $"docker {string.Join(' ', arguments)}: {status}: {output}{errors}\n{Tail()}");
        return output.TrimEnd('\n');
    }

    /// <summary>What Docker makes once: its name for the host's network namespace, and the cgroup above its containers'.</summary>
    internal bool IsDockers(string line) => line == $"mount {Path.Combine(Folder, "exec", "netns", "default")}" || line is "cgroup /sys/fs/cgroup/docker";

    private protected override void StartManager()
    {
        string runtime = WriteOciRuntime();
        // None of the host's: and what is named must be there.
        string none = Path.Combine(Folder, "none.json");
        File.WriteAllText(none, "{}");
        _dockerd = Start(
            "dockerd", "--host", $"unix://{Socket}", "--data-root", Path.Combine(Folder, "data"), "--exec-root", Path.Combine(Folder, "exec"), "--pidfile", Path.Combine(Folder, "docker.pid"),
            "--config-file", none, "--bip", "10.80.0.1/24", "--add-runtime", $"hearth={runtime}");
        Eventually(() => Docker("version").Status == 0, () => "dockerd does not answer");
        Eventually(() => Docker("pull", "-q", Busybox).Status == 0, () => "the image does not come");
    }

    private protected override void StopManager()
    {
        PodLab.Run("kill", $"{_dockerd!.Id}");
        _dockerd.WaitForExit();
    }

    private protected override void Prepare(ProcessStartInfo start)
    {
        base.Prepare(start);
        start.Environment["DOCKER_HOST"] = $"unix://{Socket}";
        start.Environment["DOCKER_CONFIG"] = Path.Combine(Folder, "docker");
    }
}
