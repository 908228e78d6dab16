using System.Diagnostics;

namespace Hearth.Jailer.Tests;

/// <summary>What the jailer makes, and what the program finds around it.</summary>
public sealed class JailTests(JailFixture jails) : IClassFixture<JailFixture>
{
    [Fact]
    public void The_program_finds_nothing_but_its_jail()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        // A descriptor and an environment that must not come along.
        Outcome outcome = JailFixture.Run("sh", ["-c", "exec 7</etc/passwd; trap '' PIPE; exec \"$@\"", "sh", JailFixture.Jailer, .. jails.Arguments(id, [], "exit:7")]);
        outcome = outcome with { Facts = JailFixture.ParseFacts(outcome.Output) };
        Assert.Equal((7, ""), (outcome.ExitCode, outcome.Errors));
        Assert.Equal(($"{JailFixture.Uid}", $"{JailFixture.Uid}", $"{JailFixture.Gid}", $"{JailFixture.Gid}", "0"), (outcome["uid"], outcome["euid"], outcome["gid"], outcome["egid"], outcome["groups"]));
        Assert.Equal(("", "0,1,2,", "/", "2048"), (outcome["environment"], outcome["descriptors"], outcome["cwd"], outcome["files"]));
        Assert.Equal(("0", "0", "1", "0", "0"), (outcome["capabilities"], outcome["bounding"], outcome["no-new-privileges"], outcome["blocked"], outcome["sigpipe"]));
        Assert.Equal(["dev", "probe", "probe.pid", "run"], outcome["root"].Split(',', StringSplitOptions.RemoveEmptyEntries).Order());
        Assert.Equal(["--id", id, "--start-time-us", "--start-time-cpu-us", "--parent-cpu-time-us"], outcome.Facts["argument"].Where(static text => !ulong.TryParse(text, out _)));
        Assert.Equal(outcome["pid"], File.ReadAllText(Path.Combine(jails.RootOf(id), "probe.pid")));
    }

    [Fact]
    public void A_program_of_root_has_no_capabilities_either()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string[] arguments = jails.Arguments(jails.NextId(), [], "mknod", "mount:/run");
        arguments[Array.IndexOf(arguments, "--uid") + 1] = "0";
        Outcome outcome = JailFixture.Run(JailFixture.Jailer, arguments);
        outcome = outcome with { Facts = JailFixture.ParseFacts(outcome.Output) };
        Assert.Equal(("0", "0", "0", "EPERM", "EPERM"), (outcome["uid"], outcome["capabilities"], outcome["bounding"], outcome["mknod"], outcome["mount:/run"]));
    }

    [Fact]
    public void Limits_are_the_programs_own()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        Outcome outcome = jails.Jail(jails.NextId(), ["--new-pid-ns", "--resource-limit", "no-file=40", "--resource-limit", "fsize=123456"], "raise-files:41");
        Assert.Equal("", outcome.Errors);
        Assert.Equal(("40", "123456", "EPERM"), (outcome["files"], outcome["size"], outcome["raise-files:41"]));
    }

    [Fact]
    public void In_a_new_pid_namespace_the_program_is_process_one_and_its_file_has_the_hosts_number()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        Outcome outcome = jails.Jail(id, ["--new-pid-ns"], $"signal:{Environment.ProcessId}", "wait:/run/facts");
        Assert.Equal(0, outcome.ExitCode);
        int pid = int.Parse(File.ReadAllText(Path.Combine(jails.RootOf(id), "probe.pid")), System.Globalization.CultureInfo.InvariantCulture);
        using Process process = Process.GetProcessById(pid);
        try
        {
            Assert.EndsWith("probe", File.ResolveLinkTarget($"/proc/{pid}/exe", false)!.FullName, StringComparison.Ordinal);
            ILookup<string, string> facts = Facts(id);
            Assert.Equal("1", facts["pid"].Single());
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    [Fact]
    public void A_daemon_leads_a_session_and_talks_to_nobody()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        Outcome outcome = jails.Jail(id, ["--daemonize"], "wait:/run/facts");
        Assert.Equal((0, "", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
        int pid = int.Parse(File.ReadAllText(Path.Combine(jails.RootOf(id), "probe.pid")), System.Globalization.CultureInfo.InvariantCulture);
        using Process process = Process.GetProcessById(pid);
        try
        {
            ILookup<string, string> facts = Facts(id);
            Assert.Equal(("1", "0,1,2,", $"{pid}"), (facts["sid"].Single(), facts["descriptors"].Single(), facts["pid"].Single()));
            Assert.Equal("/dev/null", File.ResolveLinkTarget($"/proc/{pid}/fd/0", false)!.FullName);
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    [Fact]
    public void Devices_are_those_of_the_host_and_the_programs_own()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        string[] devices = ["/dev/kvm", "/dev/net/tun", "/dev/urandom", "/dev/userfaultfd"];
        Outcome outcome = jails.Jail(id, [], [.. devices.Select(static device => $"open-rw:{device}")]);
        foreach (string device in devices)
        {
            string result = outcome[$"open-rw:{device}"];
            if (!File.Exists(device))
            {
                Assert.Equal("ENOENT", result);
                continue;
            }

            // Opened, or refused by the device itself: never for want of permission to the node.
            Assert.True(result is not ("ENOENT" or "EACCES" or "EPERM"), $"{device}: {result}");
            string[] node = JailFixture.Run("stat", "-c", "%t:%T %u %g %a", jails.RootOf(id) + device).Output.Trim().Split(' ');
            Assert.Equal([JailFixture.Run("stat", "-c", "%t:%T", device).Output.Trim(), $"{JailFixture.Uid}", $"{JailFixture.Gid}", "600"], node);
        }
    }

    [Fact]
    public void A_base_that_is_mounted_without_devices_and_programs_will_do()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string script = $"mount -t tmpfs -o nodev,noexec,nosuid none {jails.Base} && exec \"$@\"";
        Outcome outcome = JailFixture.Run("unshare", ["--mount", "--", "sh", "-c", script, "sh", JailFixture.Jailer, .. jails.Arguments(jails.NextId(), [], "open:/dev/urandom")]);
        outcome = outcome with { Facts = JailFixture.ParseFacts(outcome.Output) };
        Assert.Equal("done", outcome["open:/dev/urandom"]);
    }

    [Fact]
    public void Links_that_a_program_left_in_its_jail_lead_nowhere_the_next_time()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        Assert.Equal(0, jails.Jail(id, []).ExitCode);
        string victim = Path.Combine(jails.Folder, $"victim-{id}");
        File.WriteAllText(victim, "untouched");
        string root = jails.RootOf(id);
        foreach (string name in (string[])["probe", "probe.pid", "dev/urandom"])
        {
            File.Delete(Path.Combine(root, name));
            File.CreateSymbolicLink(Path.Combine(root, name), victim);
        }

        Outcome again = jails.Jail(id, [], "open:/dev/urandom");
        Assert.Equal("done", again["open:/dev/urandom"]);
        Assert.Equal("untouched", File.ReadAllText(victim));
        Assert.Equal("root", JailFixture.Run("stat", "-c", "%U", victim).Output.Trim());

        // A directory that has become a link is refused: what is behind it would change its owner.
        Directory.Delete(Path.Combine(root, "run"));
        Directory.CreateSymbolicLink(Path.Combine(root, "run"), jails.Folder);
        Outcome refused = jails.Jail(id, []);
        Assert.Equal((1, ""), (refused.ExitCode, refused.Output));
        Assert.Contains("no symbolic link", refused.Errors);

        Directory.Move(root, $"{root}-moved");
        Directory.CreateSymbolicLink(root, jails.Folder);
        refused = jails.Jail(id, []);
        Assert.Equal(1, refused.ExitCode);
        Assert.False(File.Exists(Path.Combine(jails.Folder, "probe.pid")));
        Directory.Delete(root);
    }

    [Fact]
    public void Files_that_were_put_into_the_jail_before_are_there()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string id = jails.NextId();
        Directory.CreateDirectory(jails.RootOf(id));
        File.WriteAllText(Path.Combine(jails.RootOf(id), "vmlinux"), "kernel");
        Outcome outcome = jails.Jail(id, [], "open:/vmlinux", "write:/vmlinux");
        Assert.Equal(("done", "EACCES"), (outcome["open:/vmlinux"], outcome["write:/vmlinux"]));
    }

    [Fact]
    public void The_program_runs_in_the_network_namespace_it_was_given()
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string name = $"hj{Environment.ProcessId}";
        Assert.Equal(0, JailFixture.Run("ip", "netns", "add", name).ExitCode);
        try
        {
            string id = jails.NextId();
            Outcome outcome = jails.Jail(id, ["--netns", $"/run/netns/{name}", "--daemonize"], "wait:/run/facts");
            Assert.Equal(0, outcome.ExitCode);
            int pid = int.Parse(File.ReadAllText(Path.Combine(jails.RootOf(id), "probe.pid")), System.Globalization.CultureInfo.InvariantCulture);
            using Process process = Process.GetProcessById(pid);
            string expected = JailFixture.Run("stat", "-L", "-c", "%i", $"/run/netns/{name}").Output;
            string actual = JailFixture.Run("stat", "-L", "-c", "%i", $"/proc/{pid}/ns/net").Output;
            process.Kill();
            process.WaitForExit();
            Assert.Equal(expected, actual);
            Assert.Contains("is it the file of a network namespace", jails.Jail(jails.NextId(), ["--netns", "/nowhere"]).Errors, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            _ = JailFixture.Run("ip", "netns", "delete", name);
        }
    }

    [Theory]
    [InlineData("--exec-file", "/nowhere/vmm", "No such file")]
    [InlineData("--exec-file", "/etc", "is not a file")]
    [InlineData("--exec-file", "/etc/passwd", "Failed to exec")]
    [InlineData("--chroot-base-dir", "/nowhere", "/nowhere")]
    public void What_cannot_be_jailed_is_refused_by_name(string option, string value, string problem)
    {
        Assert.SkipWhen(JailFixture.ReasonToSkip is not null, JailFixture.ReasonToSkip ?? "");
        string[] arguments = jails.Arguments(jails.NextId(), []);
        arguments[Array.IndexOf(arguments, option) + 1] = value;
        Outcome outcome = JailFixture.Run(JailFixture.Jailer, arguments);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains(problem, outcome.Errors);
    }

    private ILookup<string, string> Facts(string id)
    {
        string file = Path.Combine(jails.RootOf(id), "run/facts");
        string content = "";
        Assert.True(SpinWait.SpinUntil(() => File.Exists(file) && (content = File.ReadAllText(file)).Contains("netns="), TimeSpan.FromSeconds(60)), "the probe wrote no facts");
        return JailFixture.ParseFacts(content);
    }
}
