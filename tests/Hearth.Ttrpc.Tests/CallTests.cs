using Google.Protobuf.WellKnownTypes;

namespace Hearth.Ttrpc.Tests;

public sealed class CallTests
{
    [Fact]
    public async Task A_unary_call_gets_its_answer()
    {
        await using var echo = new EchoService();

        StringValue answer = await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = "äöü" }, StringValue.Parser);

        Assert.Equal("äöü", answer.Value);
    }

    [Fact]
    public async Task An_empty_answer_is_an_answer()
    {
        await using var echo = new EchoService();

        Assert.Equal("", (await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue(), StringValue.Parser)).Value);
    }

    [Fact]
    public async Task A_thousand_calls_at_once_each_get_their_own_answer()
    {
        await using var echo = new EchoService();

        StringValue[] answers = await Task.WhenAll(Enumerable.Range(0, 1000).Select(i =>
            echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = $"{i}" }, StringValue.Parser)));

        Assert.Equal(Enumerable.Range(0, 1000).Select(static i => $"{i}"), answers.Select(static answer => answer.Value));
    }

    [Fact]
    public async Task Metadata_arrives_in_order_with_its_repetitions()
    {
        await using var echo = new EchoService();

        StringValue answer = await echo.Client.CallAsync(
            EchoService.Name, "Metadata", new Empty(), StringValue.Parser, metadata: [new("b", "1"), new("a", "2"), new("b", "3")]);

        Assert.Equal("b=1;a=2;b=3", answer.Value);
    }

    [Theory]
    [InlineData("Refuse", StatusCode.NotFound, "no such pod")]
    [InlineData("Break", StatusCode.Unknown, "no such pod")]
    [InlineData("Nothing", StatusCode.Unimplemented, "method Nothing")]
    public async Task A_failed_call_says_how(string method, StatusCode code, string message)
    {
        await using var echo = new EchoService();

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() =>
            echo.Client.CallAsync(EchoService.Name, method, new StringValue { Value = "no such pod" }, StringValue.Parser));

        Assert.Equal(code, failure.Code);
        Assert.Equal(message, failure.Message);
        Assert.Equal("still here", (await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = "still here" }, StringValue.Parser)).Value);
    }

    [Fact]
    public async Task An_unknown_service_is_unimplemented()
    {
        await using var echo = new EchoService();

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() =>
            echo.Client.CallAsync("hearth.test.Other", "Echo", new Empty(), Empty.Parser));

        Assert.Equal(StatusCode.Unimplemented, failure.Code);
    }

    [Fact]
    public async Task A_call_over_its_time_limit_ends_on_both_sides()
    {
        await using var echo = new EchoService(maxCalls: 1);

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() =>
            echo.Client.CallAsync(EchoService.Name, "Wait", new Empty(), Empty.Parser, timeout: TimeSpan.FromMilliseconds(20)));

        Assert.Equal(StatusCode.DeadlineExceeded, failure.Code);
        // The server's call has ended too, or there would be no room for this one.
        await Eventually(async () => await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue(), StringValue.Parser));
    }

    [Fact]
    public async Task A_call_that_is_given_up_leaves_the_connection_usable()
    {
        await using var echo = new EchoService();
        using var giveUp = new CancellationTokenSource();
        Task call = echo.Client.CallAsync(EchoService.Name, "Wait", new Empty(), Empty.Parser, cancellation: giveUp.Token);

        await giveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Equal("on", (await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = "on" }, StringValue.Parser)).Value);
    }

    [Fact]
    public async Task More_calls_than_allowed_are_refused_and_the_others_go_on()
    {
        var gate = new TaskCompletionSource();
        (Stream near, Stream far) = DuplexPipe.Create();
        Task serving = new TtrpcServer(EchoService.Create(gate.Task)) { MaxCalls = 2 }.ServeAsync(far);
        await using (var client = new TtrpcClient(near))
        {
            Task[] held = [.. Enumerable.Range(0, 2).Select(_ => client.CallAsync(EchoService.Name, "Wait", new Empty(), Empty.Parser))];

            TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() => client.CallAsync(EchoService.Name, "Wait", new Empty(), Empty.Parser));

            Assert.Equal(StatusCode.ResourceExhausted, failure.Code);
            gate.SetResult();
            await Task.WhenAll(held);
        }

        await serving;
    }

    [Fact]
    public async Task A_message_longer_than_a_frame_is_refused_before_it_is_sent()
    {
        await using var echo = new EchoService();

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() =>
            echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = new string('x', 4 << 20) }, StringValue.Parser));

        Assert.Equal(StatusCode.ResourceExhausted, failure.Code);
        Assert.Equal("on", (await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = "on" }, StringValue.Parser)).Value);
    }

    [Fact]
    public async Task An_answer_longer_than_a_frame_is_an_error_and_not_silence()
    {
        await using var echo = new EchoService();

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() =>
            echo.Client.CallAsync(EchoService.Name, "Long", new Int32Value { Value = 4 << 20 }, StringValue.Parser));

        Assert.Equal(StatusCode.ResourceExhausted, failure.Code);
    }

    [Fact]
    public async Task A_server_stream_comes_in_order_and_ends()
    {
        await using var echo = new EchoService();
        using TtrpcStream<Int32Value> stream = await echo.Client.OpenServerStreamAsync(EchoService.Name, "Count", new Int32Value { Value = 500 }, Int32Value.Parser);

        int expected = 0;
        await foreach (Int32Value value in stream.ReadAllAsync())
        {
            Assert.Equal(expected++, value.Value);
        }

        Assert.Equal(500, expected);
    }

    [Fact]
    public async Task A_stream_that_fails_gives_what_came_before_and_then_the_error()
    {
        await using var echo = new EchoService();
        using TtrpcStream<Empty> stream = await echo.Client.OpenServerStreamAsync(EchoService.Name, "FailLate", new Empty(), Empty.Parser);
        int count = 0;

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(async () =>
        {
            await foreach (Empty _ in stream.ReadAllAsync())
            {
                count++;
            }
        });

        Assert.Equal((1, StatusCode.Aborted), (count, failure.Code));
    }

    [Fact]
    public async Task A_stream_that_is_given_up_does_not_hold_up_the_connection()
    {
        await using var echo = new EchoService();
        TtrpcStream<Int32Value> stream = await echo.Client.OpenServerStreamAsync(EchoService.Name, "Count", new Int32Value { Value = 100_000 }, Int32Value.Parser);

        stream.Dispose();

        Assert.Equal("on", (await echo.Client.CallAsync(EchoService.Name, "Echo", new StringValue { Value = "on" }, StringValue.Parser)).Value);
    }

    [Fact]
    public async Task A_duplex_stream_answers_each_message_and_ends_with_the_client()
    {
        await using var echo = new EchoService();
        using TtrpcStream<Int32Value> stream = await echo.Client.OpenDuplexAsync(EchoService.Name, "Double", Int32Value.Parser);
        await stream.SendAsync(new Int32Value { Value = 3 });
        await stream.SendAsync(new Int32Value { Value = 0 });
        await stream.CloseSendAsync();

        List<int> answers = [];
        await foreach (Int32Value value in stream.ReadAllAsync())
        {
            answers.Add(value.Value);
        }

        Assert.Equal([6, 0], answers);
    }

    private static async Task Eventually(Func<Task> attempt)
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(20);
        while (true)
        {
            try
            {
                await attempt();
                return;
            }
            catch (TtrpcException) when (DateTime.UtcNow < deadline)
            {
                await Task.Yield();
            }
        }
    }
}
