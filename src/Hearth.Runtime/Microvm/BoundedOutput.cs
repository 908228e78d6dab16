namespace Hearth.Runtime.Handlers;

/// <summary>The beginning of an output; what goes beyond the bound is dropped. Thread: one.</summary>
internal sealed class BoundedOutput(int maxBytes)
{
    private readonly MemoryStream _kept = new();

    public void Add(ReadOnlySpan<byte> bytes)
    {
        int room = maxBytes - (int)_kept.Length;
        _kept.Write(bytes[..Math.Min(room, bytes.Length)]);
    }

    public byte[] ToArray() => _kept.ToArray();
}
