using CsCheck;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Layers;

/// <summary>
/// Compares merging with the specification read literally, from the top: a path is seen if the highest layer that has it
/// is not below one that hides it or something above it.
/// </summary>
public sealed class WhiteoutModelTests
{
    private static readonly Gen<string> s_name = Gen.Int[0, 2].Select(index => "abc"[index].ToString());

    private static readonly Gen<string> s_path = s_name.Array[1, 3].Select(parts => string.Join('/', parts));

    // What an entry does: a file, a folder, a whiteout, an opaque folder.
    private static readonly Gen<(string Path, int Kind)[]> s_layer = Gen.Select(s_path, Gen.Int[0, 3]).Array[0, 6];

    [Fact]
    public void Merged_layers_show_what_the_specification_says()
    {
        s_layer.Array[1, 4].Sample(drawn =>
        {
            (string Path, int Kind)[][] layers = [.. drawn.Select(Consistent)];
            IEnumerable<string> merged = LayerTests.Paths(LayerTests.Merge([.. layers.Select(Archive)]));
            Assert.Equal(Model(layers), merged);
        });
    }

    /// <summary>A layer as a builder writes it: each path once, and no file that is a folder, too.</summary>
    private static (string Path, int Kind)[] Consistent((string Path, int Kind)[] entries)
    {
        var kept = new List<(string Path, int Kind)>();
        foreach ((string path, int kind) in entries)
        {
            bool clash = kept.Any(other => (other.Path == path && (other.Kind != 2) == (kind != 2))
                || (other.Kind == 0 && path.StartsWith(other.Path + "/", StringComparison.Ordinal))
                || (kind == 0 && other.Path.StartsWith(path + "/", StringComparison.Ordinal)));
            if (!clash)
            {
                kept.Add((path, kind));
            }
        }

        return [.. kept];
    }

    private static TarBuilder Archive((string Path, int Kind)[] layer)
    {
        var archive = new TarBuilder();
        foreach ((string path, int kind) in layer)
        {
            int slash = path.LastIndexOf('/') + 1;
            _ = kind switch
            {
                0 => archive.File(path),
                1 => archive.Folder(path),
                2 => archive.File(path[..slash] + ".wh." + path[slash..]),
                _ => archive.Folder(path).File(path + "/.wh..wh..opq"),
            };
        }

        return archive;
    }

    private static IEnumerable<string> Model((string Path, int Kind)[][] layers)
    {
        string[] all = [.. layers.SelectMany(layer => layer).SelectMany(entry => Ancestors(entry.Path).Append(entry.Path)).Distinct()];
        return all.Where(path => Seen(path, layers)).Select(path => "/" + path).Order(StringComparer.Ordinal);
    }

    private static bool Seen(string path, (string Path, int Kind)[][] layers)
    {
        for (int at = layers.Length - 1; at >= 0; at--)
        {
            if (Has(layers[at], path))
            {
                return true;
            }

            // Hidden for all layers below: whited out itself, or something above it whited out, opaque or no folder.
            bool hidden = layers[at].Any(entry => entry.Kind == 2 && (entry.Path == path || path.StartsWith(entry.Path + "/", StringComparison.Ordinal)))
                || layers[at].Any(entry => entry.Kind is 0 or 3 && path.StartsWith(entry.Path + "/", StringComparison.Ordinal));
            if (hidden)
            {
                return false;
            }
        }

        return false;
    }

    private static bool Has((string Path, int Kind)[] layer, string path) =>
        layer.Any(entry => (entry.Kind != 2 && entry.Path == path) || (entry.Path.StartsWith(path + "/", StringComparison.Ordinal)));

    private static IEnumerable<string> Ancestors(string path)
    {
        string[] parts = path.Split('/');
        return Enumerable.Range(1, parts.Length - 1).Select(length => string.Join('/', parts[..length]));
    }
}
