using System.IO.Compression;

namespace Hearth.Images.Initrds;

/// <summary>A file of the host and where it goes in an initrd.</summary>
/// <param name="Source">The host's path.</param>
/// <param name="Destination">The path in the initrd; a leading slash is taken off.</param>
public readonly record struct InitrdFile(string Source, string Destination);

/// <summary>What an initrd should hold.</summary>
public sealed record InitrdOptions
{
    /// <summary>The program or script that becomes <c>/init</c>.</summary>
    public required string Init { get; init; }

    /// <summary>Further files.</summary>
    public IReadOnlyList<InitrdFile> Files { get; init; } = [];

    /// <summary>Adds a static busybox as <c>/bin/busybox</c>, with <c>/bin/sh</c> a link to it.</summary>
    public bool Busybox { get; init; }

    /// <summary>Whether the kernel has to unpack it: smaller on the host's disk, slower to boot.</summary>
    public bool Compressed { get; init; } = true;
}

/// <summary>Builds small initrds: an init, files, and busybox where it is wanted.</summary>
public sealed class InitrdBuilder
{
    // 0755 and 0644.
    private const int ProgramMode = 0x1ed;
    private const int FileMode = 0x1a4;

    private readonly ImageCache _cache;
    private readonly IProgress<ImageProgress> _progress;

    public InitrdBuilder(ImageCache cache, IProgress<ImageProgress> progress)
    {
        _cache = cache;
        _progress = progress;
    }

    /// <summary>Writes the initrd.</summary>
    /// <exception cref="ImageException">A file cannot be read or a path is none.</exception>
    public async Task BuildAsync(InitrdOptions options, string output, CancellationToken cancellation)
    {
        string work = Directory.CreateTempSubdirectory("hearth-initrd-").FullName;
        try
        {
            string made = Path.Combine(work, "initrd");
            string? busybox = options.Busybox ? await BusyboxAsync(cancellation).ConfigureAwait(false) : null;
            using (Stream plain = File.Create(made))
            using (Stream content = options.Compressed ? new GZipStream(plain, CompressionLevel.Optimal) : plain)
            using (var archive = new CpioWriter(content))
            {
                AddFile(archive, new InitrdFile(options.Init, "init"), executable: true);
                // Where the kernel opens init's console before there is a devtmpfs.
                archive.AddFolder("dev");
                if (busybox is not null)
                {
                    AddFile(archive, new InitrdFile(busybox, "bin/busybox"), executable: true);
                    archive.AddLink("bin/sh", "busybox");
                }

                foreach (InitrdFile file in options.Files)
                {
                    AddFile(archive, file with { Destination = file.Destination.TrimStart('/') }, executable: false);
                }

                archive.Finish();
            }

            await ImageCache.PublishAsync(made, output, cancellation).ConfigureAwait(false);
        }
        finally
        {
            await ImageCache.DeleteFolderAsync(work).ConfigureAwait(false);
        }
    }

    /// <summary>The path of a static busybox, from Debian's package busybox-static; kept in the cache.</summary>
    internal async Task<string> BusyboxAsync(CancellationToken cancellation)
    {
        const string Package = "busybox-static";
        string version = await DebianPackages.CandidateVersionAsync(Package, _progress, cancellation).ConfigureAwait(false);
        return await _cache.GetAsync(
            "busybox",
            ImageCache.Key(Package, version),
            "busybox",
            async path =>
            {
                _progress.Report(new ImageProgress($"Downloading {Package} {version} (1 MB)"));
                string work = Path.GetDirectoryName(path)!;
                string tree = Path.Combine(work, "tree");
                await DebianPackages.FetchAsync(Package, work, tree, _progress, cancellation).ConfigureAwait(false);
                string found = new[] { "bin/busybox", "usr/bin/busybox" }.Select(p => Path.Combine(tree, p)).FirstOrDefault(File.Exists)
                    ?? throw new ImageException($"The package {Package} holds no busybox.");
                File.Move(found, path);
            },
            _progress,
            cancellation).ConfigureAwait(false);
    }

    private static void AddFile(CpioWriter archive, InitrdFile file, bool executable)
    {
        try
        {
            // An init that lost its mode on the way would be a panic in the guest.
            bool runs = executable || new FileInfo(file.Source).UnixFileMode.HasFlag(UnixFileMode.UserExecute);
            archive.AddFile(file.Destination, File.ReadAllBytes(file.Source), runs ? ProgramMode : FileMode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot put {file.Source} into the initrd: {e.Message}", e);
        }
    }
}
