using System.Diagnostics;
using System.Text.Json;
using Hearth.Cri.Protocol;

namespace Hearth.Cli.Tests;

/// <summary>The program, as a person starts it, against a daemon without machines.</summary>
public sealed class DaemonTests : IAsyncLifetime
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromMinutes(3);

    private ScriptedDaemon _daemon = null!;

    public async ValueTask InitializeAsync() => _daemon = await ScriptedDaemon.StartAsync();

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();

    [Fact]
    public async Task A_run_in_the_foreground_shows_the_output_has_the_containers_status_and_removes_what_it_made()
    {
        Ended run = await RunAsync("run", "--rm", "--name", "web", "here", "say", "hello", "exit", "3");

        Assert.Equal((3, "hello\n", ""), (run.Status, run.Output, run.Errors));
        Assert.Empty(_daemon.Pods);
        Assert.Empty(_daemon.Containers);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_daemon.Folder, "root", "logs")));
    }

    [Fact]
    public async Task A_container_that_was_left_is_listed_read_stopped_and_removed()
    {
        Ended run = await RunAsync("run", "-d", "--name", "web", "here", "say", "one", "say", "two", "sleep");
        string id = run.Output.Trim();
        Assert.True(_daemon.Containers.ContainsKey(id), run.Errors);

        Assert.Matches($"{id[..12]} +here +.* ago +Up .* web +web", (await RunAsync("ps")).Output);
        using (var json = JsonDocument.Parse((await RunAsync("ps", "--format", "json")).Output))
        {
            Assert.Equal(id, json.RootElement.GetProperty("containers")[0].GetProperty("id").GetString());
        }

        Assert.Equal("two\n", (await RunAsync("logs", "--tail", "1", "web")).Output);
        Assert.Contains("runs. Stop it first", (await RunAsync("rm", "web")).Errors);
        Assert.Contains("already", (await RunAsync("run", "-d", "--name", "web", "here")).Errors);
        Assert.Equal("web\n", (await RunAsync("stop", "-t", "2", "web")).Output);
        Assert.Contains("stop 2", _daemon.Calls);
        Assert.Equal("143\n", (await RunAsync("wait", id[..10])).Output);
        Assert.Equal("", (await RunAsync("ps", "-q")).Output);
        Assert.Equal((0, "web\n"), (await RunAsync("rm", "web") is var removed ? (removed.Status, removed.Output) : default));
        Assert.Empty(_daemon.Pods);
    }

    [Fact]
    public async Task A_command_that_is_not_there_ends_with_127_and_the_daemons_words()
    {
        Ended run = await RunAsync("run", "--rm", "here", "nope");

        Assert.Equal((127, "hearth: exec nope: no such file or directory\n"), (run.Status, run.Errors));
        Assert.Empty(_daemon.Pods);
    }

    [Fact]
    public async Task An_image_that_may_not_be_fetched_is_missing_and_nothing_is_made()
    {
        Ended run = await RunAsync("run", "--pull", "never", "elsewhere");

        Assert.Equal(125, run.Status);
        Assert.Contains("--pull never", run.Errors);
        Assert.DoesNotContain("run pod", _daemon.Calls);
    }

    [Fact]
    public async Task A_signal_to_the_foreground_is_the_containers()
    {
        using Process run = Start("run", "--rm", "--name", "s", "here", "say", "ready", "sleep");
        Task<string> errors = run.StandardError.ReadToEndAsync();
        Assert.Equal("ready", await run.StandardOutput.ReadLineAsync().WaitAsync(s_deadline));
        Process.Start("kill", ["-TERM", run.Id.ToString()])!.WaitForExit();
        await run.WaitForExitAsync().WaitAsync(s_deadline);

        Assert.Equal((143, ""), (run.ExitCode, await errors));
        Assert.Contains("signal 15", _daemon.Calls);
    }

    [Fact]
    public async Task Exec_carries_input_output_and_the_commands_status()
    {
        await RunAsync("run", "-d", "--name", "web", "here", "sleep");
        using Process exec = Start("exec", "-i", "-e", "A=b", "-u", "daemon", "web", "cat", "-e");
        await exec.StandardInput.WriteAsync("typed");
        exec.StandardInput.Close();
        string output = await exec.StandardOutput.ReadToEndAsync().WaitAsync(s_deadline);
        await exec.WaitForExitAsync().WaitAsync(s_deadline);

        Assert.Equal((7, "TYPED"), (exec.ExitCode, output));
        ExecProcessRequest asked = _daemon.LastExec!;
        Assert.Equal(("daemon", "A=b"), (asked.User, Assert.Single(asked.Environment)));
        Assert.Equal(["cat", "-e"], asked.Exec.Cmd);
        Assert.True(asked.Exec is { Stdin: true, Stdout: true, Stderr: true, Tty: false });
    }

    [Fact]
    public async Task Cri_call_by_call_plays_a_pods_life()
    {
        string logs = Directory.CreateDirectory(Path.Combine(_daemon.Folder, "logs")).FullName;
        string podFile = Path.Combine(_daemon.Folder, "pod.json");
        string containerFile = Path.Combine(_daemon.Folder, "container.json");
        await File.WriteAllTextAsync(podFile, $$"""{"metadata":{"name":"p","namespace":"n","uid":"u"},"log_directory":"{{logs}}"}""");
        await File.WriteAllTextAsync(containerFile, """{"metadata":{"name":"c"},"image":{"image":"here"},"args":["say","hi","exit","0"],"log_path":"c.log"}""");

        string pod = (await RunAsync("cri", "runp", podFile)).Output.Trim();
        string container = (await RunAsync("cri", "create", pod[..8], containerFile, podFile)).Output.Trim();
        Assert.Equal($"{container[..6]}\n", (await RunAsync("cri", "start", container[..6])).Output);
        Assert.Equal("hi\n", (await RunAsync("cri", "logs", "c")).Output);
        Assert.Contains("Exited", (await RunAsync("cri", "ps", "-a")).Output);
        Assert.Equal(0, (await RunAsync("cri", "rm", container)).Status);
        Assert.Equal(0, (await RunAsync("cri", "stopp", pod)).Status);
        Assert.Equal(0, (await RunAsync("cri", "rmp", "-f", pod)).Status);
        Assert.Equal(["run pod", "create", "start", "remove", "stop pod", "stop pod", "remove pod"], _daemon.Calls);
    }

    [Fact]
    public async Task A_daemon_that_is_not_there_is_said_with_how_to_start_it()
    {
        Ended ps = await RunAsync("ps", "--host", Path.Combine(_daemon.Folder, "nobody.sock"));

        Assert.Equal(125, ps.Status);
        Assert.Matches("hearthd does not answer at .*nobody.sock", ps.Errors);
        Assert.Single(ps.Errors.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public async Task Both_versions_are_shown() => Assert.Contains("hearthd  9 (scripted, CRI v1)", (await RunAsync("version")).Output);

    private async Task<Ended> RunAsync(params string[] arguments)
    {
        using Process process = Start(arguments);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(s_deadline);
        return new Ended(process.ExitCode, await output, await errors);
    }

    // With the test's own frameworks, which has what the program takes from packages.
    private Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo(
        Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
        ["exec", "--runtimeconfig", Beside("Hearth.Cli.Tests.runtimeconfig.json"), "--depsfile", Beside("Hearth.Cli.Tests.deps.json"), Beside("hearth.dll"), "--config", _daemon.Config, .. arguments])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    private static string Beside(string name) => Path.Combine(AppContext.BaseDirectory, name);

    private sealed record Ended(int Status, string Output, string Errors);
}
