using System.Security.Cryptography;
using System.Text;

namespace Hearth.Images;

/// <summary>
/// Where made images are kept, by the hash of their recipe. What is in it under its final name is whole: everything is
/// made in a folder beside and renamed.
/// </summary>
public sealed class ImageCache
{
    public ImageCache(string root) => Root = root;

    /// <summary>The folder: <c>${XDG_CACHE_HOME:-~/.cache}/hearth</c>.</summary>
    public string Root { get; }

    /// <summary>The user's cache.</summary>
    public static ImageCache Default()
    {
        string? given = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        string cache = string.IsNullOrEmpty(given)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache")
            : given;
        return new ImageCache(Path.Combine(cache, "hearth"));
    }

    /// <summary>A name for what a recipe makes: equal recipes, equal names.</summary>
    public static string Key(params IEnumerable<string> recipe)
    {
        var text = new StringBuilder();
        foreach (string part in recipe)
        {
            // The length keeps two parts apart from one.
            text.Append(part.Length).Append(':').Append(part).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..16];
    }

    /// <summary>Gives the file that a recipe makes, by <paramref name="make"/> if it is not there yet.</summary>
    /// <param name="kind">A folder of the cache.</param>
    /// <param name="key">From <see cref="Key"/>.</param>
    /// <param name="fileName">The file's name.</param>
    /// <param name="make">Makes the file at the path it is given; may use the folder around it for its work.</param>
    public async Task<string> GetAsync(string kind, string key, string fileName, Func<string, Task> make)
    {
        string folder = Path.Combine(Root, kind, key);
        string path = Path.Combine(folder, fileName);
        if (File.Exists(path))
        {
            return path;
        }

        Directory.CreateDirectory(Path.Combine(Root, kind));
        string work = Directory.CreateDirectory(Path.Combine(Root, kind, $".{key}.{Environment.ProcessId}")).FullName;
        try
        {
            string made = Path.Combine(work, fileName);
            await make(made).ConfigureAwait(false);
            Directory.CreateDirectory(folder);
            File.Move(made, path, overwrite: true);
            return path;
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>Copies a file so that its final name is never half-made. Holes stay holes where the file system can.</summary>
    public static async Task PublishAsync(string source, string destination, CancellationToken cancellation)
    {
        string full = Path.GetFullPath(destination);
        string? folder = Path.GetDirectoryName(full);
        if (folder is null || Directory.Exists(full))
        {
            throw new ImageException($"{destination} is a folder. Give the name of the file to write (-o FILE).");
        }

        string partial = Path.Combine(folder, $".{Path.GetFileName(full)}.{Environment.ProcessId}.partial");
        try
        {
            Directory.CreateDirectory(folder);
            await Tool.RunAsync("cp", ["--sparse=always", "--reflink=auto", "--", source, partial], cancellation).ConfigureAwait(false);
            File.Move(partial, full, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot write {destination}: {e.Message}", e);
        }
        finally
        {
            File.Delete(partial);
        }
    }
}
