namespace Hearth.Images.Registries;

/// <summary>A network stream whose reads end when nothing comes for a time.</summary>
internal sealed class IdleStream(Stream inner, TimeSpan limit, string from) : ForwardStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using var timed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timed.CancelAfter(limit);
        try
        {
            return await inner.ReadAsync(buffer, timed.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"{from} sent nothing for {limit.TotalSeconds:0.#} s", e);
        }
    }

    public override int Read(Span<byte> buffer) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
