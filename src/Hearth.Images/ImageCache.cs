using System.Security.Cryptography;
using System.Text;
using Hearth.Images.Store;

namespace Hearth.Images;

/// <summary>
/// Where made images are kept, by the hash of their recipe: <c>KIND/KEY/FILE</c>. What is there under its final name is
/// whole: everything is made in a folder beside (<c>KIND/.KEY.work</c>) and renamed. One process at a time makes a thing;
/// the others wait for it. A lock file says who, and the kernel drops the lock however its owner ends.
/// </summary>
public sealed class ImageCache
{
    private const int KeyDigits = 16;

    /// <param name="root">The folder; made when something is kept.</param>
    public ImageCache(string root) => Root = root;

    /// <summary>The folder: <c>${XDG_CACHE_HOME:-~/.cache}/hearth</c>.</summary>
    public string Root { get; }

    /// <summary>The user's cache.</summary>
    public static ImageCache Default()
    {
        string? given = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        // The XDG specification has relative paths ignored.
        string cache = string.IsNullOrEmpty(given) || !Path.IsPathRooted(given)
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

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..KeyDigits];
    }

    /// <summary>Gives the file that a recipe makes, by <paramref name="make"/> if it is not there yet.</summary>
    /// <param name="kind">A folder of the cache.</param>
    /// <param name="key">From <see cref="Key"/>.</param>
    /// <param name="fileName">The file's name.</param>
    /// <param name="make">Makes the file at the path it is given; may use the folder around it for its work.</param>
    /// <param name="progress">Hears when another process is being waited for.</param>
    /// <param name="cancellation">Ends the waiting and the making.</param>
    public async Task<string> GetAsync(
        string kind, string key, string fileName, Func<string, Task> make, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default)
    {
        string folder = Path.Combine(Root, kind, key);
        string path = Path.Combine(folder, fileName);
        if (File.Exists(path))
        {
            return path;
        }

        try
        {
            Directory.CreateDirectory(Path.Combine(Root, kind));
            using FileStream held = await LockAsync(Path.Combine(Root, kind, $".{key}.lock"), path, progress, cancellation).ConfigureAwait(false);
            if (File.Exists(path))
            {
                return path;
            }

            string work = Path.Combine(Root, kind, $".{key}.work");
            // Whoever left it is gone: this process holds the lock.
            await DeleteFolderAsync(work).ConfigureAwait(false);
            Directory.CreateDirectory(work);
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
                await DeleteFolderAsync(work).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot make {path}: {e.Message}", e);
        }
    }

    /// <summary>Copies a file so that its final name is never half-made. Holes stay holes where the file system can.</summary>
    /// <exception cref="ImageException">The destination cannot be written.</exception>
    public static async Task PublishAsync(string source, string destination, CancellationToken cancellation)
    {
        if (destination.Length == 0 || destination.EndsWith('/') || Directory.Exists(destination))
        {
            throw new ImageException($"\"{destination}\" is a folder. Give the name of the file to write (-o FILE).");
        }

        string full = Path.GetFullPath(destination);
        string partial = Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetFileName(full)}.{Environment.ProcessId}.partial");
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            try
            {
                await Tool.RunAsync("cp", ["--sparse=always", "--reflink=auto", "--", source, partial], cancellation).ConfigureAwait(false);
                File.Move(partial, full, overwrite: true);
            }
            finally
            {
                File.Delete(partial);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot write {destination}: {e.Message}", e);
        }
    }

    /// <summary>Removes a folder and what is in it.</summary>
    internal static async Task DeleteFolderAsync(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        try
        {
            // Several times faster than the BCL on a kernel's source, which a person who pressed Ctrl-C waits for.
            await Tool.RunAsync("rm", ["-rf", "--", folder], CancellationToken.None).ConfigureAwait(false);
        }
        catch (ImageException) when (Directory.Exists(folder))
        {
            // A process that was just killed was still writing there, or the next Ctrl-C ended rm.
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Task<FileStream> LockAsync(string file, string wanted, IProgress<ImageProgress>? progress, CancellationToken cancellation)
    {
        bool told = false;
        return FileLock.WaitAsync(
            () =>
            {
                FileStream? held = FileLock.TryExclusive(file);
                if (held is null && !told)
                {
                    told = true;
                    progress?.Report(new ImageProgress($"Waiting for another hearth that is making {wanted}"));
                }

                return held;
            },
            cancellation);
    }
}
