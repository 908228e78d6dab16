using Hearth.Linux;
using Hearth.Platform.Interrupts;

namespace Hearth.Testing;

/// <summary>An interrupt line that counts its edges. Thread: any.</summary>
public sealed class RecordingInterruptLine : IInterruptLine, IDisposable
{
    private readonly EventFd _event = new();
    private int _edges;

    /// <summary>Those that <see cref="Trigger"/> raised.</summary>
    public int Edges => Volatile.Read(ref _edges);

    /// <summary>What another process would raise edges by; the test drains it.</summary>
    public EventFd Event => _event;

    public void Trigger() => Interlocked.Increment(ref _edges);

    public void Dispose() => _event.Dispose();
}
