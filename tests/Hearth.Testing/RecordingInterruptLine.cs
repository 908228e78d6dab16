using Hearth.Platform.Interrupts;

namespace Hearth.Testing;

/// <summary>An interrupt line that counts its edges. Thread: any.</summary>
public sealed class RecordingInterruptLine : IInterruptLine
{
    private int _edges;

    public int Edges => Volatile.Read(ref _edges);

    public void Trigger() => Interlocked.Increment(ref _edges);
}
