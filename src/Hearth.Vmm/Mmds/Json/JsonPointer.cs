namespace Hearth.Vmm.Mmds.Json;

/// <summary>JSON Pointer. Source: RFC 6901 §3, §4.</summary>
internal static class JsonPointer
{
    /// <summary>The value that the pointer names, or null.</summary>
    /// <param name="root">Where the empty pointer points.</param>
    /// <param name="pointer">Empty, or begins with a slash. Its escapes are undone in place.</param>
    public static JsonNode? Find(JsonNode root, Span<byte> pointer)
    {
        if (!pointer.IsEmpty && pointer[0] != '/')
        {
            return null;
        }

        JsonNode? node = root;
        while (!pointer.IsEmpty && node is not null)
        {
            pointer = pointer[1..];
            int slash = pointer.IndexOf((byte)'/');
            int length = slash < 0 ? pointer.Length : slash;
            ReadOnlySpan<byte> token = Unescape(pointer[..length]);
            pointer = pointer[length..];
            node = node switch
            {
                JsonObject value => value.Find(token),
                JsonArray value => TryParseIndex(token, out int index) && index < value.Items.Length ? value.Items[index] : null,
                _ => null,
            };
        }

        return node;
    }

    private static Span<byte> Unescape(Span<byte> token)
    {
        int length = 0;
        for (int i = 0; i < token.Length; i++)
        {
            byte character = token[i];
            if (character == '~' && i + 1 < token.Length && token[i + 1] is (byte)'0' or (byte)'1')
            {
                character = token[++i] == '0' ? (byte)'~' : (byte)'/';
            }

            token[length++] = character;
        }

        return token[..length];
    }

    private static bool TryParseIndex(ReadOnlySpan<byte> token, out int index)
    {
        index = 0;
        if (token.Length is 0 or > 9 || (token[0] == '0' && token.Length > 1))
        {
            return false;
        }

        foreach (byte digit in token)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            index = (index * 10) + (digit - '0');
        }

        return true;
    }
}
