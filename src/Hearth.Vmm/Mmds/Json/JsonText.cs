using System.Buffers;
using System.Text.Json;

namespace Hearth.Vmm.Mmds.Json;

/// <summary>JSON text to nodes and back.</summary>
internal static class JsonText
{
    /// <summary>Parses one value. Of a repeated key the last one counts.</summary>
    /// <exception cref="JsonException">The text is not JSON, is not UTF-8, or is nested deeper than <see cref="JsonNode.MaxDepth"/>.</exception>
    public static JsonNode Parse(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = JsonNode.MaxDepth });
        try
        {
            reader.Read();
            JsonNode node = ReadValue(ref reader);

            // Throws if anything but white space follows.
            reader.Read();
            return node;
        }
        catch (InvalidOperationException failure)
        {
            // The reader's way to say that a string is not UTF-8 or names half a surrogate pair.
            throw new JsonException("A string is not valid Unicode.", failure);
        }
    }

    /// <summary>Writes compact JSON that escapes only what must be.</summary>
    public static void Write(JsonNode node, IBufferWriter<byte> output)
    {
        switch (node)
        {
            case JsonObject value:
                output.Write("{"u8);
                for (int i = 0; i < value.Keys.Length; i++)
                {
                    output.Write(i == 0 ? default : ","u8);
                    WriteString(value.Keys[i], output);
                    output.Write(":"u8);
                    Write(value.Values[i], output);
                }

                output.Write("}"u8);
                break;
            case JsonArray value:
                output.Write("["u8);
                for (int i = 0; i < value.Items.Length; i++)
                {
                    output.Write(i == 0 ? default : ","u8);
                    Write(value.Items[i], output);
                }

                output.Write("]"u8);
                break;
            case JsonString value:
                WriteString(value.Utf8, output);
                break;
            case JsonLiteral value:
                output.Write(value.Text);
                break;
        }
    }

    private static JsonNode ReadValue(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                SortedDictionary<byte[], JsonNode> members = JsonObject.NewMembers();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    byte[] key = CopyString(ref reader);
                    reader.Read();
                    members[key] = ReadValue(ref reader);
                }

                return JsonObject.From(members);
            case JsonTokenType.StartArray:
                var items = new List<JsonNode>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    items.Add(ReadValue(ref reader));
                }

                return new JsonArray([.. items]);
            case JsonTokenType.String:
                return new JsonString(CopyString(ref reader));
            case JsonTokenType.Null:
                return JsonLiteral.Null;
            default:
                return new JsonLiteral(reader.ValueSpan.ToArray());
        }
    }

    private static byte[] CopyString(ref Utf8JsonReader reader)
    {
        var text = new byte[reader.ValueSpan.Length];
        int length = reader.CopyString(text);
        return length == text.Length ? text : text[..length];
    }

    private static void WriteString(ReadOnlySpan<byte> text, IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        while (!text.IsEmpty)
        {
            int plain = 0;
            while (plain < text.Length && text[plain] >= 0x20 && text[plain] is not ((byte)'"' or (byte)'\\'))
            {
                plain++;
            }

            output.Write(text[..plain]);
            if (plain == text.Length)
            {
                break;
            }

            WriteEscape(text[plain], output);
            text = text[(plain + 1)..];
        }

        output.Write("\""u8);
    }

    private static void WriteEscape(byte character, IBufferWriter<byte> output)
    {
        output.Write(character switch
        {
            (byte)'"' => "\\\""u8,
            (byte)'\\' => "\\\\"u8,
            (byte)'\b' => "\\b"u8,
            (byte)'\f' => "\\f"u8,
            (byte)'\n' => "\\n"u8,
            (byte)'\r' => "\\r"u8,
            (byte)'\t' => "\\t"u8,
            _ => "\\u00"u8,
        });
        if (character is not ((byte)'"' or (byte)'\\' or (byte)'\b' or (byte)'\f' or (byte)'\n' or (byte)'\r' or (byte)'\t'))
        {
            ReadOnlySpan<byte> digits = "0123456789abcdef"u8;
            output.Write([digits[character >> 4], digits[character & 15]]);
        }
    }
}
