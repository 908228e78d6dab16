using Hearth.Images;
using Hearth.Images.Registries;

namespace Hearth.Runtime.Images;

/// <summary>
/// The image store as the configuration says. Failures are <see cref="ImageException"/>s, whose fault says of what kind. Thread: any.
/// </summary>
public sealed class ImageService
{
    /// <summary>Brings an image, and gives it back as it is then.</summary>
    /// <param name="name">As a person writes it.</param>
    /// <param name="credentials">For this pull, in place of the configured ones.</param>
    /// <param name="progress">Told of the steps.</param>
    /// <param name="cancellation">Ends it; what came stays for the next attempt.</param>
    public Task<Image> PullAsync(
        string name, RegistryCredentials? credentials = null, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default) => throw new NotSupportedException();

    public IReadOnlyList<Image> List() => throw new NotSupportedException();

    /// <summary>By name, name with digest, ID, or the start of an ID; null where there is none.</summary>
    public Image? Find(string nameOrId) => throw new NotSupportedException();

    /// <summary>Whether the configuration keeps it from garbage collection.</summary>
    public bool IsPinned(Image image) => throw new NotSupportedException();

    /// <summary>
    /// Takes a name away, or all of an image's; an image without names, and that no container uses, is removed from the disk. One
    /// that is not here is no error.
    /// </summary>
    public Task RemoveAsync(string nameOrId, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>What images and containers take of the disk.</summary>
    public Task<DiskUsage> UsageAsync(CancellationToken cancellation = default) => throw new NotSupportedException();
}

/// <summary>What Hearth takes of the disk.</summary>
public sealed record DiskUsage(DateTimeOffset TakenAt, FolderUsage Images, FolderUsage Containers);

/// <param name="Path">The folder: CRI's mountpoint.</param>
/// <param name="Bytes">That its files take on the disk.</param>
/// <param name="Inodes">Files and folders.</param>
public sealed record FolderUsage(string Path, long Bytes, long Inodes);
