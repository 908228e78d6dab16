using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hearth.Network.Cni;

/// <summary>An attachment as it is kept on disk: all that a DEL needs, by whatever configuration is there then.</summary>
/// <param name="Network">The network's name.</param>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="Interface">CNI_IFNAME.</param>
/// <param name="NamespacePath">CNI_NETNS.</param>
/// <param name="Arguments">CNI_ARGS.</param>
/// <param name="Configuration">The conf list that made it.</param>
/// <param name="Capabilities">What plugins were told of the pod.</param>
/// <param name="Result">The last result; null while it is being made, and if that failed.</param>
internal sealed record CniCacheEntry(
    string Network, string ContainerId, string Interface, string NamespacePath, string Arguments, JsonObject Configuration, JsonObject Capabilities, JsonObject? Result);

/// <summary>
/// The attachments that there are, or that may be there in part: a file each, written before the first plugin is called and
/// removed after all have been told to undo. Thread: any; one at a time for a container.
/// </summary>
internal sealed class CniCache(string folder)
{
    private const string Ending = ".json";

    public void Write(CniCacheEntry entry)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string path = PathOf(entry);
        string temporary = path + ".new";
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(file, entry, CniJson.Default.CniCacheEntry);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    public void Remove(CniCacheEntry entry) => File.Delete(PathOf(entry));

    /// <summary>All entries; files that are none (a disk that was full, an edit) are passed over.</summary>
    public IReadOnlyList<CniCacheEntry> All() => [.. Files("*").Select(Read).OfType<CniCacheEntry>()];

    /// <summary>The entries of a container.</summary>
    public IReadOnlyList<CniCacheEntry> Of(string containerId) =>
        [.. Files($"{containerId}@*").Select(Read).OfType<CniCacheEntry>().Where(entry => entry.ContainerId == containerId)];

    private static CniCacheEntry? Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return JsonSerializer.Deserialize(file, CniJson.Default.CniCacheEntry) is { Network: not null, ContainerId: not null, Interface: not null, Configuration: not null } entry
                ? entry
                : null;
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            return null;
        }
    }

    private IEnumerable<string> Files(string pattern) => Directory.Exists(folder) ? Directory.GetFiles(folder, pattern + Ending) : [];

    // '@' is in none of the names.
    private string PathOf(CniCacheEntry entry) => Path.Combine(folder, $"{entry.ContainerId}@{entry.Network}@{entry.Interface}{Ending}");
}
