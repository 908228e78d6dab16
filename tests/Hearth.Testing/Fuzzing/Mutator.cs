using System.Buffers.Binary;

namespace Hearth.Testing.Fuzzing;

/// <summary>Makes new inputs of old ones, as fuzzers do: bits, bytes, numbers at the edges, pieces cut, doubled and crossed.</summary>
internal sealed class Mutator
{
    private static readonly ulong[] s_edges =
        [0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 4095, 4096, 32767, 32768, 65535, 65536, int.MaxValue, 1U << 31, uint.MaxValue, 1UL << 32, long.MaxValue, 1UL << 63, ulong.MaxValue];

    private readonly Random _random;
    private readonly List<byte[]> _corpus;
    private readonly byte[] _input;
    private int _length;

    public Mutator(Random random, List<byte[]> corpus, int maxBytes)
    {
        _random = random;
        _corpus = corpus;
        _input = new byte[maxBytes];
    }

    /// <summary>Valid until the next call.</summary>
    public ReadOnlySpan<byte> Next()
    {
        byte[] seed = Pick();
        _length = Math.Min(seed.Length, _input.Length);
        seed.AsSpan(0, _length).CopyTo(_input);
        int changes = 1 << _random.Next(5);
        for (int i = 0; i < changes; i++)
        {
            Change();
        }

        return _input.AsSpan(0, _length);
    }

    private byte[] Pick() => _corpus[_random.Next(_corpus.Count)];

    private void Change()
    {
        if (_length == 0)
        {
            Insert([(byte)_random.Next(256)]);
            return;
        }

        int at = _random.Next(_length);
        switch (_random.Next(8))
        {
            case 0:
                _input[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1:
                _input[at] = (byte)_random.Next(256);
                break;
            case 2:
                _input[at] += (byte)(_random.Next(33) - 16);
                break;
            case 3:
                Edge(at);
                break;
            case 4:
                Remove(at, 1 + _random.Next(Math.Min(32, _length - at)));
                break;
            case 5:
                Span<byte> random = stackalloc byte[1 + _random.Next(16)];
                _random.NextBytes(random);
                Insert(random);
                break;
            case 6:
                Insert(Piece(_input.AsSpan(0, _length)).ToArray());
                break;
            default:
                Insert(Piece(Pick()));
                break;
        }
    }

    private void Edge(int at)
    {
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(number, s_edges[_random.Next(s_edges.Length)]);
        int width = Math.Min(1 << _random.Next(4), _length - at);
        number[..width].CopyTo(_input.AsSpan(at));
    }

    private ReadOnlySpan<byte> Piece(ReadOnlySpan<byte> source)
    {
        if (source.IsEmpty)
        {
            return source;
        }

        int start = _random.Next(source.Length);
        return source.Slice(start, 1 + _random.Next(Math.Min(64, source.Length - start)));
    }

    private void Insert(ReadOnlySpan<byte> bytes)
    {
        int at = _random.Next(_length + 1);
        bytes = bytes[..Math.Min(bytes.Length, _input.Length - _length)];
        _input.AsSpan(at, _length - at).CopyTo(_input.AsSpan(at + bytes.Length));
        bytes.CopyTo(_input.AsSpan(at));
        _length += bytes.Length;
    }

    private void Remove(int at, int count)
    {
        _input.AsSpan(at + count, _length - at - count).CopyTo(_input.AsSpan(at));
        _length -= count;
    }
}
