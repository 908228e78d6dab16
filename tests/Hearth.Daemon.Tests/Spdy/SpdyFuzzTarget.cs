using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Daemon.Tests.Spdy;

/// <summary>
/// Takes bytes of anybody's choice for a client's side of a connection: it ends, with a reason or without, has never more
/// streams than it may, and gives each that was accepted its end.
/// </summary>
public static class SpdyFuzzTarget
{
    public static void Run(ReadOnlySpan<byte> input)
    {
        var streams = new List<SpdyStream>();
        using var transport = new Recorded(input.ToArray());
        var connection = new SpdyConnection(transport, stream =>
        {
            streams.Add(stream);
            // Every other stream is read by nobody.
            if (streams.Count % 2 == 0)
            {
                stream.Discard();
            }

            return stream.Headers.Count > 0;
        });
        // A stream that holds data nobody reads holds the connection up: then it is ended from this side.
        using var end = new CancellationTokenSource();
        Task running = connection.RunAsync(end.Token);
        if (!running.IsCompleted)
        {
            end.Cancel();
        }

        try
        {
            running.GetAwaiter().GetResult();
        }
        catch (SpdyException)
        {
            // What is no SPDY is refused so.
        }

        Assert.True(streams.Count <= input.Length / 18);
        foreach (SpdyStream stream in streams)
        {
            stream.WriteAsync(new byte[1]).AsTask().GetAwaiter().GetResult();
            stream.Discard();
        }

        connection.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    /// <summary>What a client sent, all at once; what it is answered is dropped.</summary>
    private sealed class Recorded(byte[] input) : MemoryStream(input)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;
    }
}
