namespace Hearth.Vmm.Mmds.Json;

/// <summary>JSON Merge Patch. Source: RFC 7396 §2.</summary>
internal static class JsonMergePatch
{
    /// <summary>What <paramref name="target"/> becomes by <paramref name="patch"/>; neither changes.</summary>
    public static JsonNode Apply(JsonNode? target, JsonNode patch)
    {
        if (patch is not JsonObject changes)
        {
            return patch;
        }

        SortedDictionary<byte[], JsonNode> members = JsonObject.NewMembers();
        if (target is JsonObject old)
        {
            for (int i = 0; i < old.Keys.Length; i++)
            {
                members[old.Keys[i]] = old.Values[i];
            }
        }

        for (int i = 0; i < changes.Keys.Length; i++)
        {
            byte[] key = changes.Keys[i];
            if (changes.Values[i] == JsonLiteral.Null)
            {
                members.Remove(key);
            }
            else
            {
                members[key] = Apply(members.GetValueOrDefault(key), changes.Values[i]);
            }
        }

        return JsonObject.From(members);
    }
}
