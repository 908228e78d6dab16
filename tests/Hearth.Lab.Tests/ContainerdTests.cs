using System.Diagnostics;
using System.Globalization;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests;

/// <summary>Debian's own containerd runs containers in our machines, and what it is told is true.</summary>
public sealed class ContainerdTests(ContainerdLab lab) : IClassFixture<ContainerdLab>
{
    [Fact]
    public void A_container_runs_to_its_end_with_input_output_and_status()
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output) = lab.Ctr("typed\n", ["run", "--rm", "--runtime", ContainerdLab.Runtime, lab.Image, "c1", "sh", "-c", "echo hello; uname -r; cat; exit 7"]);

        Assert.True(status == 7, $"{status}: {output}\n{lab.Log}");
        string[] lines = output.Split('\n');
        Assert.Equal("hello", lines[0]);
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), lines[1]);
        Assert.Equal("typed", lines[2]);
        lab.NothingLeft(before);
    }

    [Fact]
    public void Tasks_are_listed_entered_paused_counted_and_killed()
    {
        lab.Ready();
        HostState before = lab.Count();
        Ok("run", "-d", "--runtime", ContainerdLab.Runtime, lab.Image, "c2", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done");
        string line = Ok("task", "ls").Split('\n').Single(static line => line.StartsWith("c2", StringComparison.Ordinal));
        Assert.Contains("RUNNING", line);
        string pid = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        Assert.True(Directory.Exists($"/proc/{pid}"), line);
        Assert.Contains(pid, Ok("task", "ps", "c2"));
        Assert.Equal((3, "in\n"), lab.Ctr("task", "exec", "--exec-id", "e1", "c2", "sh", "-c", "echo in; exit 3"));
        Assert.Contains("memory", Ok("task", "metrics", "c2"));
        Ok("task", "pause", "c2");
        Assert.Contains("PAUSED", Ok("task", "ls"));
        Ok("task", "resume", "c2");
        Assert.Equal((0, "again\n"), lab.Ctr("task", "exec", "--exec-id", "e2", "c2", "echo", "again"));
        (int status, string output) = lab.CtrOnTerminal("task exec -t --exec-id e3 c2 sh -c 'stty size; tty'", "");
        Assert.True(status == 0, output);
        Assert.Contains("/dev/pts/", output);
        Ok("task", "kill", "-s", "SIGTERM", "c2");
        lab.Eventually(() => lab.Ctr("task", "ls").Output.Contains("STOPPED"), "the task does not stop");
        Assert.Equal(5, lab.Ctr("task", "rm", "c2").Status);
        Ok("container", "rm", "c2");
        lab.NothingLeft(before);
    }

    [Fact]
    public async Task Five_at_a_time_each_have_a_machine()
    {
        lab.Ready();
        HostState before = lab.Count();

        (int Status, string Output)[] all = await Task.WhenAll(Enumerable.Range(0, 5).Select(i =>
            Task.Run(() => lab.Ctr("run", "--rm", "--runtime", ContainerdLab.Runtime, lab.Image, $"many{i}", "sh", "-c", $"echo {i}; exit {i}"))));

        Assert.Equal(Enumerable.Range(0, 5).Select(static i => (i, $"{i}\n")), all);
        lab.NothingLeft(before);
    }

    [Theory]
    [InlineData("hearth-vmm")]
    [InlineData("containerd-shim-hearth-v2")]
    public void What_is_killed_leaves_nothing(string program)
    {
        lab.Ready();
        HostState before = lab.Count();
        Ok("run", "-d", "--runtime", ContainerdLab.Runtime, lab.Image, "k", "sleep", "100000");
        int pid = Assert.Single(ProcessesOf(program));

        Process.GetProcessById(pid).Kill();

        lab.Eventually(() => !lab.Ctr("task", "ls").Output.Contains("RUNNING"), "the task goes on");
        _ = lab.Ctr("task", "rm", "-f", "k");
        Ok("container", "rm", "k");
        lab.NothingLeft(before);
    }

    private static IEnumerable<int> ProcessesOf(string program)
    {
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int pid) && CommandOf(pid) is { } command
                && (Path.GetFileName(command) == program || (program.StartsWith("containerd-shim", StringComparison.Ordinal) && Path.GetFileName(command) == "hearth-shim")))
            {
                yield return pid;
            }
        }
    }

    private static string? CommandOf(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0')[0];
        }
        catch (IOException)
        {
            return null;
        }
    }

    private string Ok(params string[] arguments)
    {
        (int status, string output) = lab.Ctr(arguments);
        Assert.True(status == 0, $"ctr {string.Join(' ', arguments)}: {output}\n{lab.Log}");
        return output;
    }
}
