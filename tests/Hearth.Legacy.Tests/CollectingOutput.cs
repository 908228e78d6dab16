namespace Hearth.Legacy.Tests;

/// <summary>A serial port's output in memory, which can be told to take only so much.</summary>
internal sealed class CollectingOutput : ISerialOutput
{
    private readonly List<byte> _taken = [];

    /// <summary>How many more bytes it takes before it is blocked.</summary>
    public int Room { get; set; } = int.MaxValue;

    public int FlushesAsked { get; private set; }

    public int Writes { get; private set; }

    public byte[] Taken => [.. _taken];

    public string Text => System.Text.Encoding.ASCII.GetString(Taken);

    public int Write(ReadOnlySpan<byte> data)
    {
        Writes++;
        int count = Math.Min(data.Length, Room);
        _taken.AddRange(data[..count]);
        Room -= count;
        return count;
    }

    public void FlushSoon() => FlushesAsked++;
}
