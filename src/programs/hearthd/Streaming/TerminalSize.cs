using System.Text.Json;
using System.Threading.Channels;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>Of a client's terminal, in characters.</summary>
internal readonly record struct TerminalSize(ushort Width, ushort Height)
{
    private const int MaxMessageBytes = 1024;

    /// <summary>Holds the newest size only.</summary>
    public static Channel<TerminalSize> NewChannel() =>
        Channel.CreateBounded<TerminalSize>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>
    /// Reads <c>{"Width":80,"Height":24}</c> one after the other to the stream's end. Of sizes that nobody took yet, only the
    /// last counts. Ends early at what is no size.
    /// </summary>
    public static async Task ReadAllAsync(Stream stream, ChannelWriter<TerminalSize> sizes, CancellationToken cancellation)
    {
        var buffer = new byte[MaxMessageBytes];
        int filled = 0;
        try
        {
            while (filled < buffer.Length)
            {
                int count = await stream.ReadAsync(buffer.AsMemory(filled), cancellation).ConfigureAwait(false);
                if (count == 0)
                {
                    break;
                }

                filled += count;
                int taken = Take(buffer.AsSpan(0, filled), sizes);
                if (taken < 0)
                {
                    break;
                }

                buffer.AsSpan(taken, filled - taken).CopyTo(buffer);
                filled -= taken;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client is gone; there are no more sizes.
        }
        finally
        {
            sizes.TryComplete();
        }
    }

    /// <returns>Bytes of whole messages; negative for what is none.</returns>
    private static int Take(ReadOnlySpan<byte> bytes, ChannelWriter<TerminalSize> sizes)
    {
        int taken = 0;
        while (taken < bytes.Length)
        {
            var reader = new Utf8JsonReader(bytes[taken..], isFinalBlock: false, new JsonReaderState(new JsonReaderOptions { AllowMultipleValues = true }));
            try
            {
                if (!TryRead(ref reader, out TerminalSize size))
                {
                    return taken;
                }

                sizes.TryWrite(size);
                taken += (int)reader.BytesConsumed;
            }
            catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
            {
                return -1;
            }
        }

        return taken;
    }

    private static bool TryRead(ref Utf8JsonReader reader, out TerminalSize size)
    {
        size = default;
        if (!reader.Read())
        {
            return false;
        }

        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new FormatException();
        }

        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.EndObject)
            {
                return true;
            }

            bool width = reader.ValueTextEquals("Width"u8);
            bool height = reader.ValueTextEquals("Height"u8);
            if (!reader.Read())
            {
                return false;
            }

            if (width || height)
            {
                size = width ? size with { Width = reader.GetUInt16() } : size with { Height = reader.GetUInt16() };
            }
            else if (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
            {
                throw new FormatException();
            }
        }

        return false;
    }
}
