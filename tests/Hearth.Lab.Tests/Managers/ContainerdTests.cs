using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>The lab's own containerd runs containers in our machines, and what it is told is true.</summary>
public sealed class ContainerdTests(ContainerdLab lab) : ContainerdReleaseTests(lab), IClassFixture<ContainerdLab>
{
    [Fact]
    public void A_task_is_listed_entered_paused_counted_survives_containerd_and_is_killed()
    {
        Containerd.Ready();
        HostState before = Containerd.Count();
        Containerd.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, Containerd.Busybox, "c2", "sh", "-c", "trap 'exit 5' TERM; sleep 100000 & wait");
        string line = Containerd.Ok("task", "ls").Split('\n').Single(static line => line.StartsWith("c2", StringComparison.Ordinal));
        Assert.Contains("RUNNING", line);
        string pid = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        Assert.True(Directory.Exists($"/proc/{pid}"), line);
        Assert.Contains(pid, Containerd.Ok("task", "ps", "c2"));
        Assert.Equal((3, "in\n", "bad\n"), Containerd.Run("in\n", "ctr", "-a", Containerd.Socket, "task", "exec", "--exec-id", "e1", "c2", "sh", "-c", "cat; echo bad >&2; exit 3"));
        Assert.Contains("memory.usage", Containerd.Ok("task", "metrics", "c2"));
        Containerd.Ok("task", "pause", "c2");
        Assert.Contains("PAUSED", Containerd.Ok("task", "ls"));
        Containerd.Ok("task", "resume", "c2");
        Containerd.Restart();
        Assert.Contains("RUNNING", Containerd.Ok("task", "ls"));
        (int status, string output, string errors) = Containerd.Run("", "script", "-qec", $"ctr -a {Containerd.Socket} task exec -t --exec-id e2 c2 sh -c 'tty; exit 4'", "/dev/null");
        Assert.True(status == 4, $"{status}: {output}{errors}");
        Assert.Contains("/dev/pts/", output);
        (status, _, errors) = Containerd.Ctr("task", "exec", "--exec-id", "e3", "c2", "/no/such");
        Assert.NotEqual(0, status);
        Assert.Contains("/no/such", errors);
        Containerd.Ok("task", "kill", "-s", "SIGTERM", "c2");
        Containerd.Eventually(() => Containerd.Ok("task", "ls").Contains("STOPPED"), () => "the task does not stop");
        Containerd.Forgets("c2", 5);
        Containerd.Ok("container", "rm", "c2");
        Containerd.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Fact]
    public void What_is_killed_is_reported_and_leaves_nothing()
    {
        Containerd.Ready();
        HostState before = Containerd.Count();
        Containerd.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, Containerd.Busybox, "k1", "sleep", "100000");
        Containerd.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, Containerd.Busybox, "k2", "sleep", "100000");
        // In the first one's network, and so in its machine.
        int monitor = ProcessWith("--id", "k1");
        Containerd.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, "--with-ns", $"network:/proc/{monitor}/ns/net", Containerd.Busybox, "k3", "sleep", "100000");
        Assert.Empty(ManagerLab.ProcessesWith("--id", "k3"));
        Assert.Equal("alive\n", Containerd.Ok("task", "exec", "--exec-id", "e", "k3", "echo", "alive"));

        // The shim of one, the monitor of the other.
        PodLab.Run("kill", "-9", $"{ProcessWith("-id", "k1")}");
        PodLab.Run("kill", "-9", $"{ProcessWith("--id", "k2")}");

        Containerd.Eventually(() => !Containerd.Ok("task", "ls").Contains("RUNNING"), () => "a task goes on");
        _ = Containerd.Ctr("task", "rm", "-f", "k1");
        _ = Containerd.Ctr("task", "rm", "-f", "k3");
        Containerd.Forgets("k2", 137);
        Containerd.Ok("container", "rm", "k1", "k2", "k3");
        Containerd.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Fact]
    public async Task A_containerd_that_is_killed_while_a_machine_comes_up_finds_nothing_of_it()
    {
        Containerd.Ready();
        HostState before = Containerd.Count();
        Task<(int Status, string Output, string Errors)> running = Task.Run(() => Containerd.Ctr("run", "-d", "--runtime", ContainerdLab.Runtime, Containerd.Busybox, "d1", "sleep", "100000"));
        Containerd.Eventually(() => ManagerLab.ProcessesWith("--id", "d1").Length == 1, () => "no monitor");

        Containerd.KillAndRestart();

        (int status, _, string errors) = await running;
        Assert.True(status != 0 && errors.Contains("unavailable"), $"{status}: {errors}");
        Containerd.Eventually(() => ManagerLab.ProcessesWith("-id", "d1").Length == 0, () => "the shim goes on");
        Assert.DoesNotContain("d1", Containerd.Ok("task", "ls"));
        // As if it had never been tried.
        Containerd.Ok("task", "start", "-d", "d1");
        Containerd.Ok("task", "kill", "-s", "SIGKILL", "d1");
        Containerd.Eventually(() => Containerd.Ok("task", "ls").Contains("STOPPED"), () => "the task does not stop");
        Containerd.Forgets("d1", 137);
        Containerd.Ok("container", "rm", "d1");
        Containerd.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Theory]
    [InlineData("host's network", "--net-host")]
    [InlineData("/dev/vda", "--device", "/dev/vda")]
    public void What_a_machine_cannot_give_is_refused_in_words_and_leaves_nothing(string because, params string[] options)
    {
        Containerd.Ready();
        HostState before = Containerd.Count();

        (int status, string output, string errors) = Containerd.Ctr(["run", "--rm", "--runtime", ContainerdLab.Runtime, .. options, Containerd.Busybox, "b1", "true"]);

        Assert.True(status == 1 && errors.Contains(because), $"{status}: {output}{errors}\n{Containerd.Tail()}");
        _ = Containerd.Ctr("container", "rm", "b1");
        Containerd.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    private static int ProcessWith(string option, string value) => Assert.Single(ManagerLab.ProcessesWith(option, value));
}
