using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using Hearth.Linux;

namespace Hearth.Vmm.Mmds;

/// <summary>
/// The session tokens of version 2: 36 random bytes in Base64, remembered until they expire. They are not in a snapshot,
/// so that a clone cannot use its parent's.
/// <para>Deviates: Firecracker's are an encrypted expiry time and remember nothing. A table needs no cipher, which here
/// would mean loading OpenSSL; its price is a bound on how many live at once.</para>
/// <para>Thread: any.</para>
/// </summary>
public sealed class MmdsTokens
{
    /// <summary>Source: Firecracker docs/mmds/mmds-user-guide.md, "Version 2".</summary>
    public const uint MinTtlSeconds = 1;

    /// <summary>6 hours. Source: as <see cref="MinTtlSeconds"/>.</summary>
    public const uint MaxTtlSeconds = 21600;

    /// <summary>Characters of a token.</summary>
    public const int EncodedLength = 48;

    /// <summary>How many tokens live at once; the next one replaces the one that would expire first.</summary>
    public const int Capacity = 4096;

    private const int SecretLength = 28;
    private const int RawLength = sizeof(ulong) + SecretLength;

    // Guards _live.
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, Entry> _live = [];

    /// <summary>Makes a token that is valid from now on.</summary>
    /// <param name="ttlSeconds">From <see cref="MinTtlSeconds"/> to <see cref="MaxTtlSeconds"/>: the caller has checked.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <param name="encoded">Where the <see cref="EncodedLength"/> characters go.</param>
    /// <exception cref="LinuxException">The kernel gives no random bytes.</exception>
    public void Issue(uint ttlSeconds, long nowMs, Span<byte> encoded)
    {
        Span<byte> raw = stackalloc byte[RawLength];
        lock (_gate)
        {
            ulong id;
            do
            {
                RandomBytes.Fill(raw);
                id = BinaryPrimitives.ReadUInt64LittleEndian(raw);
            }
            while (_live.ContainsKey(id));

            MakeRoom(nowMs);
            _live[id] = new Entry(raw[sizeof(ulong)..].ToArray(), nowMs + (ttlSeconds * 1000L));
        }

        Base64.EncodeToUtf8(raw, encoded, out _, out _);
    }

    /// <summary>Whether this is a token that was issued and has not expired.</summary>
    public bool IsValid(ReadOnlySpan<byte> encoded, long nowMs)
    {
        Span<byte> raw = stackalloc byte[RawLength];
        if (encoded.Length != EncodedLength
            || Base64.DecodeFromUtf8(encoded, raw, out _, out int length) != System.Buffers.OperationStatus.Done
            || length != RawLength)
        {
            return false;
        }

        lock (_gate)
        {
            return _live.TryGetValue(BinaryPrimitives.ReadUInt64LittleEndian(raw), out Entry entry)
                && CryptographicOperations.FixedTimeEquals(raw[sizeof(ulong)..], entry.Secret)
                && entry.ExpiryMs > nowMs;
        }
    }

    // Looks at all tokens, but only when the table is full: a guest pays for it with requests of its own.
    private void MakeRoom(long nowMs)
    {
        if (_live.Count < Capacity)
        {
            return;
        }

        ulong first = 0;
        long firstExpiry = long.MaxValue;
        foreach ((ulong id, Entry entry) in _live)
        {
            if (entry.ExpiryMs <= nowMs)
            {
                _live.Remove(id);
            }
            else if (entry.ExpiryMs < firstExpiry)
            {
                (first, firstExpiry) = (id, entry.ExpiryMs);
            }
        }

        if (_live.Count >= Capacity)
        {
            _live.Remove(first);
        }
    }

    private readonly record struct Entry(byte[] Secret, long ExpiryMs);
}
