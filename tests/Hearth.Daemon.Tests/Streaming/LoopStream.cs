using System.IO.Pipelines;
using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>Two ends of a connection in memory, as a port of a pod.</summary>
internal sealed class LoopStream : DuplexStream
{
    private readonly PipeReader _input;
    private readonly PipeWriter _output;

    private LoopStream(PipeReader input, PipeWriter output) => (_input, _output) = (input, output);

    public static (LoopStream One, LoopStream Other) Pair()
    {
        var there = new Pipe();
        var back = new Pipe();
        return (new LoopStream(back.Reader, there.Writer), new LoopStream(there.Reader, back.Writer));
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ReadResult result = await _input.ReadAsync(cancellationToken);
        int count = (int)Math.Min(buffer.Length, result.Buffer.Length);
        System.Buffers.BuffersExtensions.CopyTo(result.Buffer.Slice(0, count), buffer.Span);
        _input.AdvanceTo(result.Buffer.GetPosition(count));
        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        await _output.WriteAsync(buffer, cancellationToken);

    public override async ValueTask CompleteWritesAsync(CancellationToken cancellation = default) => await _output.CompleteAsync();

    protected override void Dispose(bool disposing)
    {
        _input.Complete();
        _output.Complete();
        base.Dispose(disposing);
    }
}
