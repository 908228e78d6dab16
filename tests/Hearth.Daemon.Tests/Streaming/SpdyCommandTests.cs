using System.Text;
using System.Text.Json;
using Hearth.Daemon.Tests.Spdy;
using Hearth.Linux;
using Hearth.Programs.Daemon.Spdy;
using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>Exec and attach over SPDY, by a client written from the protocol's text.</summary>
public class SpdyCommandTests
{
    [Fact]
    public async Task Exec_carries_output_and_the_exit_code_and_ends_each_stream()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            Assert.Null(streams.Stdin);
            await streams.Stdout!.WriteAsync("out"u8.ToArray());
            await streams.Stderr!.WriteAsync("err"u8.ToArray());
            return 3;
        };
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest()));

        var error = await client.OpenedAsync(("streamtype", "error"));
        var stdout = await client.OpenedAsync(("streamtype", "stdout"));
        var stderr = await client.OpenedAsync(("streamtype", "stderr"));

        Assert.Equal("out"u8.ToArray(), await stdout.ReadToEndAsync());
        Assert.Equal("err"u8.ToArray(), await stderr.ReadToEndAsync());
        JsonElement status = JsonDocument.Parse(await error.ReadToEndAsync()).RootElement;
        Assert.Equal("Failure", status.GetProperty("status").GetString());
        Assert.Equal("NonZeroExitCode", status.GetProperty("reason").GetString());
        JsonElement cause = status.GetProperty("details").GetProperty("causes")[0];
        Assert.Equal(("ExitCode", "3"), (cause.GetProperty("reason").GetString(), cause.GetProperty("message").GetString()));
        Assert.Equal(8, (await client.GoneAway.Task.WaitAsync(StreamingBench.Deadline)).Length);
    }

    [Fact]
    public async Task Input_reaches_the_process_with_its_end_however_large_and_output_comes_back_whole()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            await streams.Stdin!.CopyToAsync(streams.Stdout!);
            return 0;
        };
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest(stdin: true)));
        var error = await client.OpenedAsync(("streamtype", "error"));
        var stdin = await client.OpenedAsync(("streamtype", "stdin"));
        var stdout = await client.OpenedAsync(("streamtype", "stdout"));
        await client.OpenedAsync(("streamtype", "stderr"));

        byte[] data = new byte[3 << 20];
        new Random(1).NextBytes(data);
        Task<byte[]> echoed = stdout.ReadToEndAsync();
        // One frame of a megabyte, which no buffer holds, then smaller ones.
        await stdin.WriteAsync(data.AsMemory(0, 1 << 20));
        for (int at = 1 << 20; at < data.Length; at += 32 * 1024)
        {
            await stdin.WriteAsync(data.AsMemory(at, 32 * 1024));
        }

        await stdin.WriteAsync(ReadOnlyMemory<byte>.Empty, fin: true);

        Assert.Equal(data, await echoed);
        Assert.Contains("Success", Encoding.UTF8.GetString(await error.ReadToEndAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sizes_of_the_terminal_reach_the_process()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            Assert.Null(streams.Stderr);
            TerminalSize size = await streams.Sizes.ReadAsync();
            await streams.Stdout!.WriteAsync(Encoding.UTF8.GetBytes($"{size.Width}x{size.Height}"));
            return 0;
        };
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest(tty: true)));
        await client.OpenedAsync(("streamtype", "error"));
        var stdout = await client.OpenedAsync(("streamtype", "stdout"));
        var resize = await client.OpenedAsync(("streamtype", "resize"));

        // In two frames, as TCP may have it.
        await resize.WriteAsync("""{"Width":13"""u8.ToArray());
        await resize.WriteAsync("2,\"Height\":43}\n"u8.ToArray());

        Assert.Equal("132x43", Encoding.UTF8.GetString(await stdout.ReadToEndAsync()));
    }

    [Fact]
    public async Task A_failure_is_told_on_the_error_stream()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static (_, _, _) => throw new HearthException("The container has ended.");
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest()));

        var error = await client.OpenedAsync(("streamtype", "error"));
        await client.OpenedAsync(("streamtype", "stdout"));
        await client.OpenedAsync(("streamtype", "stderr"));

        JsonElement status = JsonDocument.Parse(await error.ReadToEndAsync()).RootElement;
        Assert.Equal("The container has ended.", status.GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_client_that_goes_away_is_the_end_of_attach()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bench.Attach = async (_, streams, gone) =>
        {
            await streams.Stdout!.WriteAsync("hello"u8.ToArray(), gone);
            gone.Register(ended.SetResult);
            await Task.Delay(Timeout.Infinite, gone);
        };
        SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(new AttachStreaming { ContainerId = "c", Stdout = true }));
        await client.OpenedAsync(("streamtype", "error"));
        var stdout = await client.OpenedAsync(("streamtype", "stdout"));
        Assert.Equal("hello"u8.ToArray(), await stdout.ReadAsync(5));

        await client.DisposeAsync();

        await ended.Task.WaitAsync(StreamingBench.Deadline);
    }

    [Fact]
    public async Task Streams_that_were_not_asked_for_over_CRI_are_refused()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest()));

        await client.OpenedAsync(("streamtype", "error"));
        foreach ((string, string)[] headers in new (string, string)[][] { [("streamtype", "stdin")], [("streamtype", "error")], [("streamtype", "x")], [] })
        {
            var refused = await client.OpenAsync(headers);
            Assert.False(await refused.Accepted.Task.WaitAsync(StreamingBench.Deadline));
        }
    }

    [Fact]
    public async Task Pings_are_answered_and_settings_and_windows_passed_over()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        await using SpdyClient client = await StreamingBench.SpdyAsync(bench.Publish(StreamingBench.ExecRequest()));

        await client.SendControlAsync(SpdyFrameType.Settings, [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 100]);
        await client.SendControlAsync(SpdyFrameType.WindowUpdate, [0, 0, 0, 1, 0, 1, 0, 0]);
        await client.SendControlAsync(SpdyFrameType.Ping, [0, 0, 0, 2]);
        await client.SendControlAsync(SpdyFrameType.Ping, [0, 0, 0, 7]);

        Assert.Equal([0, 0, 0, 7], await client.Pings.Reader.ReadAsync().AsTask().WaitAsync(StreamingBench.Deadline));
    }

    [Fact]
    public async Task A_reader_that_stands_still_holds_the_writer_up_and_takes_no_memory()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        long written = 0;
        var stuck = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bench.Exec = async (_, streams, gone) =>
        {
            var chunk = new byte[64 * 1024];
            while (true)
            {
                Task write = streams.Stdout!.WriteAsync(chunk, gone).AsTask();
                if (!write.IsCompleted)
                {
                    // Nothing moves any more once the sockets are full.
                    await Task.WhenAny(write, Task.Delay(2000, gone));
                    if (!write.IsCompleted)
                    {
                        stuck.SetResult();
                    }
                }

                await write;
                written += chunk.Length;
            }
        };
        var (status, _, connection) = await StreamingBench.RequestAsync(
            bench.Publish(StreamingBench.ExecRequest()), "Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io");
        Assert.Equal(101, status);
        await using (connection)
        {
            using var blocks = new HeaderBlocks();
            byte id = 1;
            foreach (string type in (string[])["error", "stdout", "stderr"])
            {
                byte[] block = blocks.Compress([KeyValuePair.Create("streamtype", type)]);
                var frame = new byte[18 + block.Length];
                SpdyFrameHeader.WriteControl(frame, SpdyFrameType.SynStream, 0, 10 + block.Length);
                frame[11] = id;
                id += 2;
                block.CopyTo(frame, 18);
                await connection.WriteAsync(frame);
            }

            await stuck.Task.WaitAsync(StreamingBench.Deadline);
            Assert.InRange(written, 1, 64 << 20);
        }
    }
}
