using System.Text;

namespace Hearth.Shim.Machine;

/// <summary>The last of what a program has printed, in a fixed piece of memory. What is printed is a guest's: never trusted. Thread: any.</summary>
internal sealed class OutputTail(int bytes)
{
    private readonly byte[] _ring = new byte[bytes];

    // Guards the ring and _written.
    private readonly Lock _lock = new();
    private long _written;

    public void Add(ReadOnlySpan<byte> output)
    {
        lock (_lock)
        {
            _written += output.Length;
            output = output[^Math.Min(output.Length, _ring.Length)..];
            int at = (int)((_written - output.Length) % _ring.Length);
            int first = Math.Min(output.Length, _ring.Length - at);
            output[..first].CopyTo(_ring.AsSpan(at));
            output[first..].CopyTo(_ring);
        }
    }

    /// <summary>The last lines that are not empty, without control characters.</summary>
    public string Lines(int count)
    {
        byte[] held;
        lock (_lock)
        {
            int length = (int)Math.Min(_written, _ring.Length);
            int start = (int)((_written - length) % _ring.Length);
            held = [.. _ring.AsSpan(start, Math.Min(length, _ring.Length - start)), .. _ring.AsSpan(0, Math.Max(0, start + length - _ring.Length))];
        }

        var clean = new StringBuilder(held.Length);
        foreach (char c in Encoding.UTF8.GetString(held))
        {
            if (c is '\n' or '\t' || !char.IsControl(c))
            {
                clean.Append(c);
            }
        }

        return string.Join('\n', clean.ToString().Split('\n').Where(static line => !string.IsNullOrWhiteSpace(line)).TakeLast(count));
    }
}
