namespace Hearth.Shim.Streams;

/// <summary>Where a process's output goes besides clients that attach. Thread: one at a time.</summary>
internal interface IOutputSink
{
    /// <summary>Takes everything; waits rather than lose anything. A failure is the sink's end.</summary>
    /// <exception cref="IOException">It is gone.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> output);

    /// <summary>The output has ended.</summary>
    void End();
}

/// <summary>A FIFO, a file or a pipe.</summary>
internal sealed class DescriptorSink(LoopDescriptor descriptor) : IOutputSink
{
    public ValueTask WriteAsync(ReadOnlyMemory<byte> output) => descriptor.WriteAsync(output);

    public void End() => descriptor.Dispose();
}

/// <summary>A log in CRI's format.</summary>
internal sealed class CriSink(CriLog.Writer writer) : IOutputSink
{
    public ValueTask WriteAsync(ReadOnlyMemory<byte> output)
    {
        writer.Write(output.Span);
        return ValueTask.CompletedTask;
    }

    public void End() => writer.End();
}
