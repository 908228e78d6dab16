using System.Security.Cryptography;

namespace Hearth.Images.Layers;

/// <summary>Reads a stream, and hashes and counts what comes: a decompression bomb ends at the budget, not at the disk's end.</summary>
internal sealed class WatchedStream(Stream inner, IncrementalHash hash, ImageBudget budget, CancellationToken cancellation) : ForwardStream
{
    public override int Read(Span<byte> buffer)
    {
        cancellation.ThrowIfCancellationRequested();
        int read = inner.Read(buffer);
        budget.AddArchiveBytes(read);
        hash.AppendData(buffer[..read]);
        return read;
    }
}
