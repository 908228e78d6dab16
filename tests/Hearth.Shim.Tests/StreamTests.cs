using System.Text;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Shim.Streams;
using Hearth.Testing;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>Where output goes and input comes from.</summary>
public sealed class StreamTests
{
    [Fact]
    public async Task Fifos_carry_both_ways_and_a_client_that_comes_late_or_again_misses_nothing()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        (string input, string output) = (shim.MakeFifo("in"), shim.MakeFifo("out"));
        await shim.StartAsync("c", ShimUnderTest.Specification("echo begin; cat; echo end"), request =>
        {
            request.Stdin = input;
            request.Stdout = output;
        });
        using (var first = new FileStream(output, FileMode.Open, FileAccess.Read))
        {
            byte[] text = new byte[6];
            await first.ReadExactlyAsync(text);
            Assert.Equal("begin\n", Encoding.ASCII.GetString(text));
        }

        // The manager's client is gone; the container neither ends nor breaks.
        using (var writer = new FileStream(input, FileMode.Open, FileAccess.Write))
        {
            writer.Write("one\n"u8);
        }

        using (var writer = new FileStream(input, FileMode.Open, FileAccess.Write))
        {
            writer.Write("two\n"u8);
        }

        using var second = new StreamReader(new FileStream(output, FileMode.Open, FileAccess.Read));
        Task<string> rest = second.ReadToEndAsync();
        await shim.Client.CloseIOAsync("c");
        Assert.Equal("one\ntwo\nend\n", await rest.WaitAsync(ShimUnderTest.Deadline));
        Assert.Equal(0u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
    }

    [Fact]
    public async Task A_fifo_that_nobody_reads_keeps_neither_the_end_nor_the_removal()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        string output = shim.MakeFifo("out");
        await shim.StartAsync("c", ShimUnderTest.Specification("yes | head -c 1000000"), request => request.Stdout = output);
        await shim.Client.KillAsync("c", 9, all: true);

        Assert.Equal(137u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await shim.Client.DeleteAsync("c").WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task Who_waits_for_a_descriptor_that_goes_is_told_so()
    {
        using var loop = new EventLoop();
        (FileDescriptor read, FileDescriptor write) = Pipe.Create();
        using (write)
        {
            var waiting = new LoopDescriptor(loop, read);
            Task readable = waiting.WaitReadableAsync().AsTask();

            waiting.Dispose();

            await Assert.ThrowsAsync<IOException>(() => readable.WaitAsync(ShimUnderTest.Deadline));
        }
    }

    [Fact]
    public async Task An_input_that_nobody_wrote_to_keeps_no_removal()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exit 5"), request => request.Stdin = shim.MakeFifo("in"));

        Assert.Equal(5u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(5u, (await shim.Client.DeleteAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
    }

    [Fact]
    public async Task Files_are_appended_to_and_logging_programs_get_both_outputs()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        string file = Path.Combine(shim.Folder, "new folder", "file");
        await shim.StartAsync("a", ShimUnderTest.Member("p", "echo out; echo err >&2"), request => request.Stdout = request.Stderr = "file://" + file.Replace(" ", "%20"));
        string program = Path.Combine(shim.Folder, "logger");
        ProgramFile.Write(program, "#!/bin/sh\nexec 5>&-\ncat <&4 > \"$1.err\" &\n(echo $CONTAINER_ID $CONTAINER_NAMESPACE $2; cat <&3) > \"$1.out\"\nwait\necho done >> \"$1.out\"\n");
        string log = Path.Combine(shim.Folder, "log");
        await shim.StartAsync("b", ShimUnderTest.Member("p", "echo out; echo err >&2"), request => request.Stdout = request.Stderr = $"binary://{program}?{log}=x%20y");
        await shim.Client.WaitAsync("a").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.WaitAsync("b").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.DeleteAsync("a");
        await shim.Client.DeleteAsync("b");

        Assert.Equal(["err", "out"], File.ReadAllLines(file).Order());
        Assert.Equal("b test x y\nout\ndone\n", File.ReadAllText(log + ".out"));
        Assert.Equal("err\n", File.ReadAllText(log + ".err"));
    }

    [Fact]
    public async Task A_log_is_rotated_while_it_is_written_and_clients_attach_meanwhile()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        string log = Path.Combine(shim.Folder, "log");
        await shim.StartAsync("c", ShimUnderTest.Specification("while read line; do echo $line; done"), request =>
        {
            request.Stdin = "stream://";
            request.Stdout = request.Stderr = "cri://" + log;
        });
        await using Stream first = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdout));
        await using Stream second = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdout));
        Stream input = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdin));
        TtrpcException busy = await Assert.ThrowsAsync<TtrpcException>(() => shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdin)));
        Assert.Equal(StatusCode.FailedPrecondition, busy.Code);
        await input.WriteAsync("one\n"u8.ToArray());
        Assert.Equal("one\n", await ReadAsync(first, 4));
        Assert.Equal("one\n", await ReadAsync(second, 4));
        await second.DisposeAsync();
        await input.DisposeAsync();
        File.Move(log, log + ".1");
        await shim.Client.ReopenLogAsync("c");

        // The end of one client's input is not the container's.
        Stream? next = null;
        await ShimUnderTest.EventuallyAsync(() => (next = TryOpen(shim)) is not null, "the input stays taken");
        await next!.WriteAsync("two\n"u8.ToArray());
        Assert.Equal("two\n", await ReadAsync(first, 4));
        await next.DisposeAsync();
        await shim.Client.CloseIOAsync("c");
        Assert.Equal(0u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);

        Assert.Equal("", await ReadAsync(first, 1));
        Assert.Equal("stdout F one", File.ReadAllLines(log + ".1").Single()[31..]);
        Assert.Equal("stdout F two", File.ReadAllLines(log).Single()[31..]);
    }

    [Fact]
    public async Task The_end_of_the_first_input_is_the_inputs_where_that_is_asked()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("cat; exit 9", ("io.hearth.stdin-once", "true")), request => request.Stdin = request.Stdout = "stream://");
        await using (Stream input = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdin)))
        {
            await input.WriteAsync("all\n"u8.ToArray());
        }

        await using Stream output = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdout));
        Assert.Equal("all\n", await new StreamReader(output).ReadToEndAsync().WaitAsync(ShimUnderTest.Deadline));
        Assert.Equal(9u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
    }

    [Fact]
    public async Task Ten_megabytes_in_one_line_come_through_and_a_slow_client_stops_nobody()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        string log = Path.Combine(shim.Folder, "log");
        await shim.CreateAsync("c", ShimUnderTest.Specification("head -c 10000000 /dev/zero | tr '\\0' x"), request => request.Stdout = "cri://" + log);
        await using Stream slow = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdout));
        await shim.Client.StartAsync("c");

        Assert.Equal(0u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await shim.Client.DeleteAsync("c");

        string[] lines = File.ReadAllLines(log);
        Assert.Equal(10_000_000, lines.Sum(static line => line.Length - 40));
        Assert.All(lines[..^1], static line => Assert.Equal("stdout P ", line[31..40]));
        Assert.Equal("stdout F ", lines[^1][31..40]);
    }

    [Fact]
    public async Task A_terminal_has_a_size_and_one_output()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        await shim.ExecAsync("c", "e", "stty size; read x; stty size", request =>
        {
            request.Terminal = true;
            request.Stdin = request.Stdout = "stream://";
        });
        await shim.Client.ResizePtyAsync("c", "e", 77, 33);
        await shim.Client.StartAsync("c", "e");
        await using Stream output = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "e", StdioStream.Stdout));
        Assert.Equal("33 77\r\n", await ReadAsync(output, 7));
        await shim.Client.ResizePtyAsync("c", "e", 100, 50);
        await using Stream input = await shim.Client.OpenStdioAsync(new StdioHandshake("c", "e", StdioStream.Stdin));
        await input.WriteAsync("\n"u8.ToArray());

        Assert.Equal("\r\n50 100\r\n", await new StreamReader(output).ReadToEndAsync().WaitAsync(ShimUnderTest.Deadline));
        Assert.Equal(0u, (await shim.Client.WaitAsync("c", "e").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
    }

    [Fact]
    public async Task Ports_of_the_pod_are_reached_and_strange_headers_refused()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("ip link set lo up; exec nc -l -p 80 -e cat") with { Process = Privileged("ip link set lo up; exec nc -l -p 80 -e cat") });
        Stream? found = null;
        await ShimUnderTest.EventuallyAsync(() => (found = TryPort(shim, 80)) is not null, "nobody listens");
        await found!.WriteAsync("echo"u8.ToArray());
        Assert.Equal("echo", await ReadAsync(found, 4));
        await found.DisposeAsync();
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => shim.Client.OpenPortAsync(81))).Code);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdout)))).Code);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => shim.Client.OpenStdioAsync(new StdioHandshake("x", "", StdioStream.Stdout)))).Code);
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        await socket.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(Path.Combine(shim.Folder, "task.stream")));
        await socket.SendAsync("GET / HTTP/1.1\r\n"u8.ToArray());
        byte[] answer = new byte[8];
        Assert.Equal(1, await socket.ReceiveAsync(answer));
        Assert.Equal((byte)StdioReply.Malformed, answer[0]);
    }

    private static Oci.Runtime.ProcessSpec Privileged(string command)
    {
        string[] capabilities = ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"];
        return new Oci.Runtime.ProcessSpec
        {
            Args = ["sh", "-c", command],
            Env = ["PATH=/bin"],
            Capabilities = new Oci.Runtime.CapabilitiesSpec { Bounding = capabilities, Effective = capabilities, Permitted = capabilities },
        };
    }

    private static Stream? TryOpen(ShimUnderTest shim)
    {
        try
        {
            return shim.Client.OpenStdioAsync(new StdioHandshake("c", "", StdioStream.Stdin)).GetAwaiter().GetResult();
        }
        catch (TtrpcException)
        {
            return null;
        }
    }

    private static Stream? TryPort(ShimUnderTest shim, ushort port)
    {
        try
        {
            return shim.Client.OpenPortAsync(port).GetAwaiter().GetResult();
        }
        catch (TtrpcException)
        {
            return null;
        }
    }

    private static async Task<string> ReadAsync(Stream stream, int length)
    {
        using var limit = new CancellationTokenSource(ShimUnderTest.Deadline);
        byte[] bytes = new byte[length];
        int count = await stream.ReadAtLeastAsync(bytes, length, throwOnEndOfStream: false, limit.Token);
        return Encoding.UTF8.GetString(bytes, 0, count);
    }
}
