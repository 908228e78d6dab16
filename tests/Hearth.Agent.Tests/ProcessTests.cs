using System.Text;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>More processes in a container, signals, terminals, and the end.</summary>
public sealed class ProcessTests(AgentUnderTest agent) : AgentTestBase(agent)
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_process_runs_in_the_container_with_its_rights()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("echo mine > /tmp/mark; while :; do sleep 1; done") with { Hostname = "box" };
        string id = await Agent.StartAsync(spec);
        await AgentUnderTest.EventuallyAsync(async () => (await Agent.ExecAsync(id, "cat /tmp/mark")).Status == 0, "the container does not start");

        Ended ended = await Agent.ExecAsync(id, "cat /tmp/mark; hostname; grep -E 'CapEff|NoNewPrivs' /proc/self/status; (readlink /proc/1/ns/pid; readlink /proc/self/ns/pid) | uniq | wc -l; echo oops >&2; exit 3");

        Assert.Equal(new Ended(3, "mine\nbox\nCapEff:\t00000000000004eb\nNoNewPrivs:\t1\n1\n", "oops\n"), ended);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_hundred_processes_at_once_each_give_their_own_answer()
    {
        string id = await Agent.StartAsync();

        Ended[] all = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Agent.ExecAsync(id, $"echo {i}; exit {i}")));

        Assert.Equal(Enumerable.Range(0, 100).Select(static i => new Ended(i, $"{i}\n", "")), all);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_named_process_has_streams_of_its_own_and_is_forgotten_when_asked()
    {
        string id = await Agent.StartAsync();
        var request = new ExecProcessRequest { ContainerId = id, ExecId = "x", Process = AgentUnderTest.Json(AgentUnderTest.ProcessOf("read line; echo got $line; exit 5")), Stdio = new StandardStreams { Stdin = true, Stdout = true } };
        await Client.ExecProcessAsync(request);
        Assert.Equal(StatusCode.AlreadyExists, (await Assert.ThrowsAsync<TtrpcException>(() => Client.ExecProcessAsync(request))).Code);
        Task<string> output = Agent.ReadAsync(id, "x", StdioStream.Stdout);
        await using (Stream input = await Client.OpenStdioAsync(new StdioHandshake(id, "x", StdioStream.Stdin)))
        {
            await input.WriteAsync("this\n"u8.ToArray());
        }

        Assert.Equal("got this\n", await output);
        var which = new WaitProcessRequest { ContainerId = id, ExecId = "x" };
        Assert.Equal(5u, (await Client.WaitProcessAsync(which)).ExitStatus);
        Assert.Equal(5u, (await Client.WaitProcessAsync(which)).ExitStatus);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => Client.OpenStdioAsync(new StdioHandshake(id, "x", StdioStream.Stderr)))).Code);

        await Client.RemoveProcessAsync(new RemoveProcessRequest { ContainerId = id, ExecId = "x" });

        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => Client.WaitProcessAsync(which))).Code);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_named()
    {
        string id = await Agent.StartAsync();

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() => Agent.ExecAsync(id, AgentUnderTest.ProcessOf("") with { Args = ["not-there"] }));

        Assert.Equal((StatusCode.NotFound, "exec: \"not-there\": executable file not found in $PATH"), (failure.Code, failure.Message));
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_process_over_its_time_is_killed()
    {
        string id = await Agent.StartAsync();

        Ended ended = await Agent.ExecAsync(id, AgentUnderTest.ProcessOf("echo begin; exec sleep 1000"), timeoutMs: 5000);

        Assert.Equal(new Ended(137, "begin\n", "", TimedOut: true), ended);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_process_whose_child_keeps_its_output_open_ends_all_the_same()
    {
        string id = await Agent.StartAsync();

        Assert.Equal(new Ended(0, "done\n", ""), await Agent.ExecAsync(id, "sleep 1000 & echo done"));
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_signal_reaches_the_first_process_which_may_end_as_it_likes()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"));
        await using Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout));
        await output.ReadExactlyAsync(new byte[6]);

        await Client.SignalAsync(new SignalRequest { ContainerId = id, Signal = 15 });

        Assert.Equal(7u, (await WaitAsync(id)).ExitStatus);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => Client.SignalAsync(new SignalRequest { ContainerId = id, Signal = 9 }))).Code);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task Killing_all_ends_every_process()
    {
        string id = await Agent.StartAsync();
        await Client.ExecProcessAsync(new ExecProcessRequest { ContainerId = id, ExecId = "a", Process = AgentUnderTest.Json(AgentUnderTest.ProcessOf("sleep 1000")) });

        await Client.SignalAsync(new SignalRequest { ContainerId = id, Signal = 9, All = true });

        Assert.Equal(137u, (await WaitAsync(id)).ExitStatus);
        Assert.Equal(137u, (await WaitAsync(id, "a")).ExitStatus);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task A_container_that_has_ended_takes_no_more_processes()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("true"));
        await WaitAsync(id);

        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<TtrpcException>(() => Agent.ExecAsync(id, "true"))).Code);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<TtrpcException>(() => Client.StartContainerAsync(new StartContainerRequest { ContainerId = id }))).Code);
        await RemoveAsync(id);
        await RemoveAsync(id);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => WaitAsync(id))).Code);
    }

    [Fact]
    public async Task A_container_that_was_never_started_can_be_removed()
    {
        string id = await Agent.CreateAsync(AgentUnderTest.Specification("true"));

        await RemoveAsync(id);

        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => WaitAsync(id))).Code);
    }

    [Fact]
    public async Task A_terminal_is_one_and_can_be_resized()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("tty; stty size; read x; stty size; test -c /dev/console && echo console");
        spec = spec with { Process = spec.Process! with { Terminal = true, ConsoleSize = new ConsoleSize { Width = 100, Height = 30 } } };
        string id = await Agent.StartAsync(spec);
        await using Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout));
        await using Stream input = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdin));
        using var reader = new StreamReader(output);
        Assert.Equal("/dev/pts/0", await reader.ReadLineAsync().WaitAsync(s_deadline));
        Assert.Equal("30 100", await reader.ReadLineAsync().WaitAsync(s_deadline));

        await Client.ResizeTtyAsync(new ResizeTtyRequest { ContainerId = id, Columns = 132, Rows = 43 });
        await input.WriteAsync("go\r"u8.ToArray());

        Assert.Equal("go\n43 132\nconsole\n", (await reader.ReadToEndAsync().WaitAsync(s_deadline)).Replace("\r", ""));
        await RemoveAsync(id);
    }

    [Fact]
    public async Task Control_c_on_the_terminal_of_a_process_interrupts_it()
    {
        string id = await Agent.StartAsync();
        ProcessSpec process = AgentUnderTest.ProcessOf("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done") with { Terminal = true };
        await Client.ExecProcessAsync(new ExecProcessRequest { ContainerId = id, ExecId = "t", Process = AgentUnderTest.Json(process), Stdio = new StandardStreams { Stdin = true, Stdout = true } });
        await using Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "t", StdioStream.Stdout));
        await using Stream input = await Client.OpenStdioAsync(new StdioHandshake(id, "t", StdioStream.Stdin));
        using var reader = new StreamReader(output);
        Assert.Equal("ready", await reader.ReadLineAsync().WaitAsync(s_deadline));

        await input.WriteAsync(new byte[] { 3 });

        Assert.Contains("caught", await reader.ReadToEndAsync().WaitAsync(s_deadline), StringComparison.Ordinal);
        Assert.Equal(9u, (await WaitAsync(id, "t")).ExitStatus);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task Output_waits_for_who_reads_it_and_goes_on_with_the_next_reader()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("echo first; read x; echo second"));
        await using (Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout)))
        {
            byte[] line = new byte[6];
            await output.ReadExactlyAsync(line);
            Assert.Equal("first\n", Encoding.UTF8.GetString(line));
            TtrpcException busy = await Assert.ThrowsAsync<TtrpcException>(() => Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout)));
            Assert.Equal(StatusCode.FailedPrecondition, busy.Code);
        }

        await Client.CloseStdinAsync(new CloseStdinRequest { ContainerId = id });
        await WaitAsync(id);
        string rest = "";
        await AgentUnderTest.EventuallyAsync(
            async () =>
            {
                try
                {
                    rest = await Agent.ReadAsync(id, "", StdioStream.Stdout);
                    return true;
                }
                catch (TtrpcException e) when (e.Code == StatusCode.FailedPrecondition)
                {
                    return false;
                }
            },
            "the stream stays taken");

        Assert.Equal("second\n", rest);
        await RemoveAsync(id);
    }

    [Fact]
    public async Task Orphans_of_a_shared_pid_namespace_do_not_stay_zombies()
    {
        string first = await Agent.StartAsync(null, static request => request.PidNamespace = new PidNamespace { Mode = PidNamespace.Types.Mode.Pod });
        string second = await Agent.StartAsync(null, static request => request.PidNamespace = new PidNamespace { Mode = PidNamespace.Types.Mode.Pod });
        string third = await Agent.StartAsync(null, request => request.PidNamespace = new PidNamespace { Mode = PidNamespace.Types.Mode.Target, TargetContainerId = first });

        // Each sees the other's shell, besides its own and the pause process.
        foreach (string id in (string[])[first, second, third])
        {
            await AgentUnderTest.EventuallyAsync(
                async () => (await Agent.ExecAsync(id, "ls /proc/1/status && ps | grep -c '[t]rap'")).Output == "/proc/1/status\n3\n", "they do not see each other");
        }

        await Agent.ExecAsync(first, "(sleep 0.1 &) ; (true &) ; exit 0");
        await AgentUnderTest.EventuallyAsync(async () => (await Agent.ExecAsync(second, "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l")).Output == "0\n", "zombies stay");
        await RemoveAsync(first);
        Assert.Equal(0, (await Agent.ExecAsync(second, "true")).Status);
        await RemoveAsync(second);
        await RemoveAsync(third);
    }

    [Fact]
    public async Task Events_tell_of_each_end_in_order()
    {
        using TtrpcStream<Event> events = await Client.EventsAsync();
        await using IAsyncEnumerator<Event> next = events.ReadAllAsync().GetAsyncEnumerator();
        string id = await Agent.StartAsync(AgentUnderTest.Specification("read x; exit 4"));
        await Client.ExecProcessAsync(new ExecProcessRequest { ContainerId = id, ExecId = "e", Process = AgentUnderTest.Json(AgentUnderTest.ProcessOf("exit 3")) });
        await WaitAsync(id, "e");
        await Client.CloseStdinAsync(new CloseStdinRequest { ContainerId = id });

        List<(string, uint)> ends = [];
        while (ends.Count < 2)
        {
            Assert.True(await next.MoveNextAsync().AsTask().WaitAsync(s_deadline));
            if (next.Current.Exited is { } exited && exited.ContainerId == id)
            {
                ends.Add((exited.ExecId, exited.ExitStatus));
            }
        }

        Assert.Equal([("e", 3u), ("", 4u)], ends);
        await RemoveAsync(id);
    }

    private Task RemoveAsync(string id) => Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });

    private Task<WaitProcessResponse> WaitAsync(string id, string execId = "") =>
        Client.WaitProcessAsync(new WaitProcessRequest { ContainerId = id, ExecId = execId }).WaitAsync(s_deadline);
}
