using Google.Protobuf.WellKnownTypes;

namespace Hearth.Ttrpc.Tests;

/// <summary>A service with one method of each kind, and a client connected to it.</summary>
internal sealed class EchoService : IAsyncDisposable
{
    public const string Name = "hearth.test.Echo";

    private readonly Task _serving;

    public EchoService(int maxCalls = 1024)
    {
        (Stream near, Stream far) = DuplexPipe.Create();
        Client = new TtrpcClient(near);
        Far = far;
        var server = new TtrpcServer(Create()) { MaxCalls = maxCalls };
        _serving = server.ServeAsync(far);
    }

    public TtrpcClient Client { get; }

    public Stream Far { get; }

    /// <summary>Lets the calls of <c>Wait</c> end.</summary>
    public static TtrpcService Create(Task? gate = null) => new TtrpcService(Name)
        .Unary("Echo", StringValue.Parser, static (request, _) => Task.FromResult(request))
        .Unary("Metadata", Empty.Parser, static (_, call) => Task.FromResult(new StringValue
        {
            Value = string.Join(';', call.Metadata.Select(static pair => $"{pair.Key}={pair.Value}")),
        }))
        .Unary<StringValue, StringValue>("Refuse", StringValue.Parser, static (request, _) => throw new TtrpcException(StatusCode.NotFound, request.Value))
        .Unary<StringValue, StringValue>("Break", StringValue.Parser, static (request, _) => throw new IOException(request.Value))
        .Unary("Wait", Empty.Parser, async (_, call) =>
        {
            await (gate ?? Task.Delay(Timeout.Infinite, call.Cancellation)).WaitAsync(call.Cancellation);
            return new Empty();
        })
        .Unary("Long", Int32Value.Parser, static (request, _) => Task.FromResult(new StringValue { Value = new string('x', request.Value) }))
        .ServerStream<Int32Value, Int32Value>("Count", Int32Value.Parser, static async (request, writer, _) =>
        {
            for (int i = 0; i < request.Value; i++)
            {
                await writer.WriteAsync(new Int32Value { Value = i });
            }
        })
        .ServerStream<Empty, Empty>("FailLate", Empty.Parser, static async (_, writer, _) =>
        {
            await writer.WriteAsync(new Empty());
            throw new TtrpcException(StatusCode.Aborted, "after one");
        })
        .Duplex<Int32Value, Int32Value>("Double", Int32Value.Parser, static async (requests, writer, _) =>
        {
            await foreach (Int32Value request in requests)
            {
                await writer.WriteAsync(new Int32Value { Value = request.Value * 2 });
            }
        });

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await _serving;
    }
}
