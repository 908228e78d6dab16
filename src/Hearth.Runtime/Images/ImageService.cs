using Hearth.Configuration;
using Hearth.Images;
using Hearth.Images.Building;
using Hearth.Images.Layers;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Linux;

namespace Hearth.Runtime.Images;

/// <summary>
/// The image store as the configuration says. Failures are <see cref="ImageException"/>s, whose fault says of what kind. Thread: any.
/// </summary>
public sealed class ImageService
{
    private readonly HearthConfig _config;
    private readonly ImageStore _store;
    private readonly SemaphoreSlim _removing = new(1);

    /// <param name="config">Where images are, and how they are had.</param>
    /// <param name="builder">Who reads layers; null for this process.</param>
    /// <exception cref="ImageException">A registry's password file cannot be read.</exception>
    public ImageService(HearthConfig config, ImageBuilderProgram? builder = null)
    {
        _config = config;
        _store = new ImageStore(
            Path.Combine(config.Daemon.Root, "images"),
            Options(config),
            new ImageLimits { MaxBytes = config.Images.MaxImageMib << 20, MaxEntries = config.Images.MaxEntries },
            builder);
    }

    /// <summary>Brings an image, and gives it back as it is then.</summary>
    /// <param name="name">As a person writes it.</param>
    /// <param name="credentials">For this pull, in place of the configured ones.</param>
    /// <param name="progress">Told of the steps.</param>
    /// <param name="cancellation">Ends it; what came stays for the next attempt.</param>
    public Task<Image> PullAsync(
        string name, RegistryCredentials? credentials = null, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default) =>
        _store.PullAsync(ImageReference.Parse(name), credentials, progress, cancellation);

    /// <summary>Brings the images of an OCI layout, an OCI archive or a docker-archive.</summary>
    public Task<IReadOnlyList<Image>> ImportAsync(
        string path, string? name = null, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default) =>
        _store.ImportAsync(path, name is null ? null : ImageReference.Parse(name), progress, cancellation);

    public IReadOnlyList<Image> List() => _store.List();

    /// <summary>By name, name with digest, ID, or the start of an ID; null where there is none.</summary>
    public Image? Find(string nameOrId) => _store.Find(nameOrId);

    /// <summary>Keeps an image on the disk until the result is disposed, also without a name.</summary>
    public IDisposable Hold(Image image) => _store.Hold(image);

    /// <summary>Whether the configuration keeps it from garbage collection.</summary>
    public bool IsPinned(Image image) => _config.Images.Pinned.Any(pinned => _store.Find(pinned) is { } found && found.Id == image.Id);

    /// <summary>
    /// Takes a name away, or all of an image's; an image without names, and that no container uses, is removed from the disk. One
    /// that is not here is no error.
    /// </summary>
    public async Task RemoveAsync(string nameOrId, CancellationToken cancellation = default)
    {
        // One at a time: who finds that another is removing it would else answer before it has gone.
        await _removing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            await Task.Run(
                () =>
                {
                    _store.Untag(nameOrId);
                    _store.CollectGarbage();
                },
                cancellation).ConfigureAwait(false);
        }
        finally
        {
            _removing.Release();
        }
    }

    /// <summary>What images and containers take of the disk.</summary>
    public Task<DiskUsage> UsageAsync(CancellationToken cancellation = default) => Task.Run(
        () =>
        {
            StoreUsage images = _store.Usage();
            // Bundles, and the shims' folders: scratch disks.
            FolderUsage bundles = Measure(Path.Combine(_config.Daemon.State, State.PodFolders.Name), cancellation);
            FolderUsage machines = Measure(Path.Combine(_config.Daemon.State, "pods"), cancellation);
            return new DiskUsage(
                DateTimeOffset.UtcNow,
                new FolderUsage(_store.Root, images.Bytes, images.Inodes),
                new FolderUsage(_config.Daemon.State, bundles.Bytes + machines.Bytes, bundles.Inodes + machines.Inodes));
        },
        cancellation);

    internal static RegistryOptions Options(HearthConfig config)
    {
        // Read now, so that a mistake is told of at the start and not at some later pull.
        Dictionary<string, RegistryCredentials> known = [];
        foreach (RegistryConfig registry in config.Registries.Where(static registry => registry.Username.Length > 0 || registry.PasswordFile.Length > 0))
        {
            known[registry.Host] = new RegistryCredentials { Username = registry.Username, Password = Password(registry) };
        }

        Lazy<Func<string, RegistryCredentials?>> users = new(DockerConfig.OfUser);
        return new RegistryOptions
        {
            PlainHttp = config.Registries.Where(static registry => registry.PlainHttp).Select(static registry => registry.Host).ToHashSet(),
            Mirrors = config.Registries.Where(static registry => registry.Mirrors.Count > 0).ToDictionary(static registry => registry.Host, static registry => registry.Mirrors),
            Credentials = host => known.GetValueOrDefault(host) ?? users.Value(host),
            IdleTimeout = TimeSpan.FromSeconds(config.Images.IdleTimeoutS),
            ParallelLayers = config.Images.ParallelLayers,
        };
    }

    private static string Password(RegistryConfig registry)
    {
        try
        {
            return registry.PasswordFile.Length == 0 ? "" : File.ReadAllText(registry.PasswordFile).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException(ImageFault.Denied, $"The password of {registry.Host} cannot be read from {registry.PasswordFile}: {e.Message}", e);
        }
    }

    private static FolderUsage Measure(string folder, CancellationToken cancellation)
    {
        long bytes = 0;
        long inodes = 0;
        if (Directory.Exists(folder))
        {
            var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = true };
            foreach (FileSystemInfo entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("*", all))
            {
                cancellation.ThrowIfCancellationRequested();
                try
                {
                    inodes++;
                    bytes += FileAllocation.BytesOf(entry.FullName);
                }
                catch (LinuxException)
                {
                    // Removed since it was listed, or behind a mount that has lost its server.
                }
            }
        }

        return new FolderUsage(folder, bytes, inodes);
    }
}

/// <summary>What Hearth takes of the disk.</summary>
public sealed record DiskUsage(DateTimeOffset TakenAt, FolderUsage Images, FolderUsage Containers);

/// <param name="Path">The folder: CRI's mountpoint.</param>
/// <param name="Bytes">That its files take on the disk.</param>
/// <param name="Inodes">Files and folders.</param>
public sealed record FolderUsage(string Path, long Bytes, long Inodes);
