using System.Buffers;
using System.Text.Json;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds.Json;

namespace Hearth.Vmm.Mmds;

/// <summary>
/// The metadata document that the host writes and the guest reads.
/// <para>Thread: any; a reader sees the whole old document or the whole new one.</para>
/// <para>Source: Firecracker docs/mmds/mmds-design.md, "The data store".</para>
/// </summary>
public sealed class MmdsStore
{
    // How many times larger than the document its file may be.
    private const int MaxWhiteSpace = 16;

    // Orders writers; readers take the published root alone.
    private readonly Lock _writing = new();

    // Published whole by each write. Null until the first PUT.
    private volatile JsonNode? _root;

    /// <param name="sizeLimitBytes">What the document may take as compact JSON, in bytes.</param>
    public MmdsStore(int sizeLimitBytes) => SizeLimitBytes = sizeLimitBytes;

    public int SizeLimitBytes { get; }

    /// <summary>Whether a document was ever put.</summary>
    public bool IsInitialized => _root is not null;

    /// <summary>The document; JSON's null before the first PUT.</summary>
    internal JsonNode Root => _root ?? JsonLiteral.Null;

    /// <summary>Replaces the document.</summary>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    /// <exception cref="MmdsLimitException">It is larger than the limit; the old document stays.</exception>
    public void Put(ReadOnlySpan<byte> utf8Json) => Put(JsonText.Parse(utf8Json));

    internal void Put(JsonNode root)
    {
        lock (_writing)
        {
            Publish(root);
        }
    }

    /// <summary>Replaces the document by a file's, as <c>--metadata</c> asks.</summary>
    /// <exception cref="ConfigurationException">The file cannot be read, or is not JSON.</exception>
    /// <exception cref="MmdsLimitException">It is larger than the limit.</exception>
    public void PutFile(string path)
    {
        try
        {
            // White space does not count for the limit; a file of nothing else, however long, is still not read.
            var file = new FileInfo(path);
            if (file.Exists && file.Length > (MaxWhiteSpace * (long)SizeLimitBytes) + MaxWhiteSpace)
            {
                throw new MmdsLimitException();
            }

            Put(File.ReadAllBytes(path));
        }
        catch (JsonException failure)
        {
            string where = failure.LineNumber is { } line ? $"look at line {line + 1}, column {failure.BytePositionInLine}" : "a string is not Unicode";
            throw new ConfigurationException($"MMDS error: the metadata in {path} is not valid JSON: {where}.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"Unable to open or read from the mmds content file: {failure.Message}");
        }
    }

    /// <summary>Merges into the document. Source: RFC 7396.</summary>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    /// <exception cref="ConfigurationException">Nothing was put yet.</exception>
    /// <exception cref="MmdsLimitException">The result is larger than the limit; the old document stays.</exception>
    public void Patch(ReadOnlySpan<byte> utf8Json) => Patch(JsonText.Parse(utf8Json));

    internal void Patch(JsonNode patch)
    {
        lock (_writing)
        {
            JsonNode old = _root ?? throw new ConfigurationException("MMDS error: The MMDS data store is not initialized.");
            Publish(JsonMergePatch.Apply(old, patch));
        }
    }

    /// <summary>
    /// Writes the document as compact JSON, as GET <c>/mmds</c> shows it: an empty object where there is nothing.
    /// </summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        JsonNode root = Root;
        JsonText.Write(root == JsonLiteral.Null ? JsonObject.Empty : root, output);
    }

    private void Publish(JsonNode root)
    {
        var text = new ArrayBufferWriter<byte>();
        JsonText.Write(root, text);
        if (text.WrittenCount > SizeLimitBytes)
        {
            throw new MmdsLimitException();
        }

        _root = root;
    }
}
