namespace Hearth.Vmm.Mmds.Json;

/// <summary>
/// One JSON value, immutable, its text kept as UTF-8: the device loop walks and writes it while the API thread already
/// builds the next one. Not System.Text.Json's nodes: those decode to UTF-16, throw at repeated keys when first read,
/// and keep no order that the guest could rely on.
/// </summary>
internal abstract class JsonNode
{
    /// <summary>Source: serde_json's recursion limit, which bounds what Firecracker takes.</summary>
    public const int MaxDepth = 128;
}

/// <summary>Members in the order of their keys' bytes, each key once. Source: Firecracker keeps maps sorted so.</summary>
internal sealed class JsonObject : JsonNode
{
    private JsonObject(byte[][] keys, JsonNode[] values)
    {
        Keys = keys;
        Values = values;
    }

    public static JsonObject Empty { get; } = new([], []);

    /// <summary>Sorted, not escaped.</summary>
    public byte[][] Keys { get; }

    /// <summary>The value of each key.</summary>
    public JsonNode[] Values { get; }

    public static JsonObject From(SortedDictionary<byte[], JsonNode> members) =>
        members.Count == 0 ? Empty : new([.. members.Keys], [.. members.Values]);

    /// <summary>An empty collection in the order this type wants.</summary>
    public static SortedDictionary<byte[], JsonNode> NewMembers() => new(ByteOrder.Instance);

    /// <summary>The member of a key, or null.</summary>
    public JsonNode? Find(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = Keys.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = key.SequenceCompareTo(Keys[middle]);
            if (order == 0)
            {
                return Values[middle];
            }

            if (order < 0)
            {
                high = middle - 1;
            }
            else
            {
                low = middle + 1;
            }
        }

        return null;
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}

internal sealed class JsonArray(JsonNode[] items) : JsonNode
{
    public JsonNode[] Items { get; } = items;
}

/// <summary>A string, without quotes and escapes.</summary>
internal sealed class JsonString(byte[] utf8) : JsonNode
{
    public byte[] Utf8 { get; } = utf8;
}

/// <summary>A number, <c>true</c>, <c>false</c> or <c>null</c>, as it was written.</summary>
internal sealed class JsonLiteral(byte[] text) : JsonNode
{
    public static JsonLiteral Null { get; } = new("null"u8.ToArray());

    public byte[] Text { get; } = text;
}
