using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's own Podman runs containers in our machines by conmon and hearth-oci.</summary>
public sealed class PodmanTests(PodmanLab lab) : IClassFixture<PodmanLab>
{
    [Fact]
    public void A_container_runs_to_its_end_with_input_output_and_status()
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Run("typed\n", "podman", "run", "--rm", "-i", "--network", "none", lab.Busybox, "sh", "-c", "uname -r; cat; echo wrong >&2; exit 7");

        Assert.True(status == 7, $"{status}: {output}{errors}");
        string[] lines = output.Split('\n');
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), lines[0]);
        Assert.Equal("typed", lines[1]);
        Assert.Contains("wrong", errors);
        (status, output, errors) = lab.Run("", "script", "-qec", $"stty rows 33 cols 77; podman run --rm -it --network none {lab.Busybox} sh -c 'tty; stty size; exit 4'", "/dev/null");
        Assert.True(status == 4 && output.Contains("/dev/pts/") && output.Contains("33 77"), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsPodmans);
    }

    [Fact]
    public void A_container_has_network_volumes_files_and_a_life()
    {
        lab.Ready();
        HostState before = lab.Count();
        string volume = Path.Combine(lab.Folder, "volume");
        Directory.CreateDirectory(volume);
        File.WriteAllText(Path.Combine(volume, "in"), "host\n");
        int port = PodLab.FreePort();
        lab.Ok(
            "run", "-d", "--name", "c", "--hostname", "box", "-v", $"{volume}:/v", "-p", $"127.0.0.1:{port}:80", "--health-cmd", "test -e /ok", "--health-interval", "disable", "--health-timeout", "10m", lab.Busybox,
            "sh", "-c", "trap 'exit 5' TERM; cat /v/in; echo guest >/v/out; mkdir -p /www; hostname >/www/index.html; httpd -p 80 -h /www; echo up; sleep 100000 & wait");
        lab.Eventually(() => lab.Ok("logs", "c") == "host\nup", () => lab.Ok("logs", "c"));
        Assert.Equal("guest\n", File.ReadAllText(Path.Combine(volume, "out")));
        string address = lab.Ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "c");
        Assert.Equal((0, "box\n", ""), lab.Run("", "curl", "-sS", "-m", "60", $"http://{address}/"));
        Assert.Equal((0, "box\n", ""), lab.Run("", "curl", "-sS", "-m", "60", $"http://127.0.0.1:{port}/"));
        (int status, string output, string errors) = lab.Run("in\n", "podman", "exec", "-i", "c", "sh", "-c", "cat; echo bad >&2; exit 3");
        Assert.True(status == 3 && output == "in\n" && errors.Contains("bad"), $"{status}: {output}{errors}");
        (status, output, errors) = lab.Run("", "script", "-qec", "podman exec -it c tty", "/dev/null");
        Assert.True(status == 0 && output.Contains("/dev/pts/"), $"{status}: {output}{errors}");
        string id = lab.Ok("inspect", "-f", "{{.Id}}", "c");
        Assert.Contains($"/libpod_parent/libpod-{id}/", File.ReadAllText($"/proc/{ManagerLab.ProcessesWith("--id", id).Single()}/cgroup"));
        Assert.Matches("^[0-9.]+MB /", lab.Ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "c"));
        Assert.NotEqual(0, lab.Podman("healthcheck", "run", "c").Status);
        Assert.Equal((127, 126), (lab.Podman("exec", "c", "not-there").Status, lab.Podman("exec", "c", "/etc/passwd").Status));

        // Into the container's own files, and not into this host's.
        string file = Path.Combine(lab.Folder, "ok");
        File.WriteAllText(file, "copied\n");
        lab.Ok("cp", file, "c:/ok");
        lab.Ok("cp", file, "c:/v/ok");
        Assert.False(File.Exists("/ok"));
        Assert.Equal("copied\n", File.ReadAllText(Path.Combine(volume, "ok")));
        Assert.Equal("copied\ncopied", lab.Ok("exec", "c", "cat", "/ok", "/v/ok"));
        lab.Ok("cp", "c:/www/index.html", file);
        Assert.Equal("box\n", File.ReadAllText(file));
        lab.Ok("healthcheck", "run", "c");

        lab.Ok("pause", "c");
        Assert.Contains("Paused", lab.Ok("ps", "-a", "--format", "{{.Status}}"));
        lab.Ok("unpause", "c");
        lab.Ok("stop", "-t", "60", "c");
        Assert.Equal("exited 5", lab.Ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c"));
        // Again, and ended at once.
        lab.Ok("start", "c");
        lab.Ok("kill", "c");
        Assert.Equal("137", lab.Ok("wait", "c"));
        lab.Ok("rm", "c");
        lab.NothingLeft(before, lab.IsPodmans);
    }

    [Fact]
    public void A_pod_that_is_played_is_one_machine()
    {
        lab.Ready();
        HostState before = lab.Count();
        string pod = Path.Combine(lab.Folder, "pod.yaml");
        File.WriteAllText(
            pod,
            $$"""
            apiVersion: v1
            kind: Pod
            metadata: {name: p}
            spec:
              containers:
              - name: server
                image: {{lab.Busybox}}
                command: [sh, -c, "mkdir -p /www; echo page >/www/index.html; httpd -p 80 -h /www; trap 'exit 0' TERM; sleep 100000 & wait"]
              - name: client
                image: {{lab.Busybox}}
                command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]
            """);

        int[] others = ManagerLab.ProcessesWith("--id");
        lab.Ok("play", "kube", pod);

        Assert.Single(ManagerLab.ProcessesWith("--id").Except(others));
        lab.Eventually(() => lab.Podman("exec", "p-client", "wget", "-qO-", "http://127.0.0.1/").Output == "page\n", () => "the neighbour's page does not come");
        lab.Ok("rm", "-f", "-t", "60", "p-client");
        Assert.Equal("page", lab.Ok("exec", "p-server", "cat", "/www/index.html"));
        lab.Ok("pod", "rm", "-f", "-t", "60", "p");
        lab.NothingLeft(before, lab.IsPodmans);
    }

    /// <summary>Podman never has a container deleted whose conmon was killed before its end: the machine ends by itself.</summary>
    [Fact]
    public void A_container_whose_conmon_is_killed_ends_with_its_machine()
    {
        lab.Ready();
        HostState before = lab.Count();
        string id = lab.Ok("create", "--network", "none", lab.Busybox, "sleep", "100000");
        lab.Ok("init", id);
        Assert.Single(ManagerLab.ProcessesWith("--id", id));

        PodLab.Run("kill", "-9", lab.Ok("inspect", "-f", "{{.State.ConmonPid}}", id));
        lab.Ok("start", id);
        _ = lab.Podman("rm", "-f", "-t", "0", id);

        lab.Eventually(() => ManagerLab.ProcessesWith("--id", id).Length + ManagerLab.ProcessesWith("-id", id).Length == 0, () => "the machine goes on");
        // runc's folder stays too.
        _ = lab.Podman("rm", "-f", "-t", "0", id);
        (int status, _, string errors) = lab.Run("", lab.OciRuntime, "delete", "--force", id);
        Assert.True(status == 0, errors);
        lab.NothingLeft(before, lab.IsPodmans);
    }

    [Theory]
    [InlineData("not-there", 127)]
    [InlineData("/no/such", 127)]
    [InlineData("/etc", 126)]
    public void A_program_that_cannot_run_has_the_known_status(string program, int expected)
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Podman("run", "--rm", "--network", "none", lab.Busybox, program);

        Assert.True(status == expected && errors.Contains($"exec: \"{program}\""), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsPodmans);
    }

    [Theory]
    [InlineData("this host's network", "--network", "host")]
    [InlineData("this host's pid namespace", "--network", "none", "--pid", "host")]
    [InlineData("/dev/vda", "--network", "none", "--device", "/dev/vda")]
    public void What_a_machine_cannot_give_is_refused_in_words_and_leaves_nothing(string because, params string[] options)
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Podman(["run", "--rm", .. options, lab.Busybox, "true"]);

        Assert.True(status != 0 && errors.Contains(because), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsPodmans);
    }
}
