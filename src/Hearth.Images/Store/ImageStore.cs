using Hearth.Images.Building;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Linux;

namespace Hearth.Images.Store;

/// <summary>How much disk the store takes.</summary>
/// <param name="Bytes">That its files and folders take on the disk.</param>
/// <param name="Inodes">Files and folders.</param>
public readonly record struct StoreUsage(long Bytes, long Inodes);

/// <summary>
/// The images that are here. Several processes and tasks may use one folder at a time; whatever is there under its final
/// name is whole, however a process that wrote it ended.
/// <para><c>blobs/</c> is content by its digest, <c>ingest/</c> what is coming in, <c>images/</c> a folder for each flattened
/// image, <c>references/</c> a file for each name.</para>
/// </summary>
public sealed partial class ImageStore
{
    private readonly BlobStore _blobs;
    private readonly RegistryOptions _registries;
    private readonly ImageLimits _limits;
    private readonly ImageBuilderProgram? _builder;

    /// <param name="root">The folder; made when something is kept.</param>
    /// <param name="registries">How registries are spoken to.</param>
    /// <param name="limits">What an image may cost.</param>
    /// <param name="builder">Who reads layers; null for this process.</param>
    public ImageStore(string root, RegistryOptions? registries = null, ImageLimits? limits = null, ImageBuilderProgram? builder = null)
    {
        _builder = builder;
        Root = Path.GetFullPath(root);
        _registries = registries ?? new RegistryOptions();
        _limits = limits ?? new ImageLimits();
        _blobs = new BlobStore(Root, _registries.RetryDelay);
    }

    public string Root { get; }

    private string ImagesFolder => Path.Combine(Root, "images");

    private string ReferencesFolder => Path.Combine(Root, "references");

    private string IngestFolder => Path.Combine(Root, "ingest");

    private string LockPath => Path.Combine(Root, "lock");

    /// <summary>
    /// For root <c>/var/lib/hearth/images</c>, else <c>${XDG_DATA_HOME:-~/.local/share}/hearth/images</c>.
    /// </summary>
    public static string DefaultRoot()
    {
        if (Environment.IsPrivilegedProcess)
        {
            return "/var/lib/hearth/images";
        }

        string? given = Environment.GetEnvironmentVariable("XDG_DATA_HOME");
        string data = string.IsNullOrEmpty(given) || !Path.IsPathRooted(given)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "share")
            : given;
        return Path.Combine(data, "hearth", "images");
    }

    /// <summary>Brings an image from its registry; what is here already is not brought again.</summary>
    /// <param name="reference">Its name.</param>
    /// <param name="credentials">For this pull, in place of the configured ones.</param>
    /// <param name="progress">Told of the steps.</param>
    /// <param name="cancellation">Ends it; content that came is kept for the next attempt.</param>
    /// <exception cref="ImageException">It cannot be had: <see cref="ImageException.Fault"/> says why.</exception>
    public async Task<Image> PullAsync(
        ImageReference reference, RegistryCredentials? credentials = null, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default)
    {
        RegistryOptions options = credentials is null ? _registries : _registries with { Credentials = host => host == reference.Registry ? credentials : _registries.Credentials(host) };
        using var client = new RegistryClient(options);
        progress?.Report(new ImageProgress($"Asking {reference.Registry} for {reference.Repository}:{reference.TagOrDigest}"));
        ServedManifest top = await client.GetManifestAsync(reference, cancellation).ConfigureAwait(false);
        ServedManifest served = top;
        object document = ImageDocuments.ParseManifest(top.Json, reference.ToString());
        // An index may lead to another; one that leads on and on is no image's.
        for (int depth = 0; document is ImageIndex index; depth++)
        {
            ImageReference next = reference.WithDigest(index.ForThisMachine(reference.ToString()).Digest);
            served = depth < 2 ? await client.GetManifestAsync(next, cancellation).ConfigureAwait(false) : throw new ImageException(ImageFault.BadContent, $"{reference} is an index of indexes of indexes, and no image.");
            document = ImageDocuments.ParseManifest(served.Json, reference.ToString());
        }

        var content = new ImageContent(reference.ToString(), served.Digest, served.Json, (Manifest)document, client.Blobs(reference));
        return await KeepAsync(content, [(reference.ToString(), top.Digest)], progress, cancellation).ConfigureAwait(false);
    }

    /// <summary>Makes an image be here, and have these names.</summary>
    private async Task<Image> KeepAsync(ImageContent content, IReadOnlyList<(string Name, Digest Digest)> names, IProgress<ImageProgress>? progress, CancellationToken cancellation)
    {
        try
        {
            MakeRoot();
            // Whoever collects garbage has this lock alone: what is not yet named is not garbage.
            using FileStream held = await FileLock.WaitAsync(() => FileLock.TryShared(LockPath), cancellation).ConfigureAwait(false);
            await FlattenAsync(content, progress, cancellation).ConfigureAwait(false);
            Directory.CreateDirectory(ReferencesFolder);
            foreach ((string name, Digest digest) in names)
            {
                WriteReference(new ReferenceRecord { Name = name, Digest = digest.ToString(), Manifest = content.Digest.ToString() });
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw StoreFailure.Of(e, Root);
        }

        return Find(content.Digest.ToString()) ?? throw new ImageException(ImageFault.NotFound, $"{content.Name} was removed while it was pulled. Pull it again.");
    }

    /// <summary>What private images hold is not for every user of the host.</summary>
    private void MakeRoot() => Directory.CreateDirectory(Root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private async Task FlattenAsync(ImageContent content, IProgress<ImageProgress>? progress, CancellationToken cancellation)
    {
        string folder = FolderOf(content.Digest);
        if (Directory.Exists(folder))
        {
            return;
        }

        Directory.CreateDirectory(ImagesFolder);
        using FileStream alone = await FileLock.WaitAsync(() => FileLock.TryExclusive(folder + LockSuffix), cancellation).ConfigureAwait(false);
        if (Directory.Exists(folder))
        {
            return;
        }

        byte[] configJson = await _blobs.ReadAsync(content.Manifest.Config, content.Source, cancellation).ConfigureAwait(false);
        (ImageConfig config, Digest[] diffIds, string? created) = ImageDocuments.ParseConfig(configJson, content.Manifest.Layers.Count, content.Name);
        // Before anything comes: what a manifest announces may be more than any disk has, and a lie.
        CheckSizes(content);
        int layers = content.Manifest.Layers.Count;
        await using IImageBuild build = _builder is null ? new OwnBuild(layers, _limits) : _builder.Start(layers, _limits);
        await BringLayersAsync(content, diffIds, build, progress, cancellation).ConfigureAwait(false);

        string work = folder + WorkSuffix;
        // Whoever left it is gone: this task has the lock.
        DeleteFolder(work);
        Directory.CreateDirectory(work);
        try
        {
            var meter = new ProgressMeter(progress, "Making the file system image");
            FlattenedImage flat = await build.WriteAsync(content.Digest, Path.Combine(work, Image.RootFilesystemFile), meter.Report, cancellation).ConfigureAwait(false);
            Image.WriteUserFiles(work, flat.Passwd, flat.Group);
            DurableFile.Write(Path.Combine(work, ManifestFile), content.Json);
            var record = new ImageRecord
            {
                Manifest = content.Digest.ToString(),
                Id = content.Manifest.Config.Digest.ToString(),
                Blobs = [content.Manifest.Config.Digest.ToString(), .. content.Manifest.Layers.Select(layer => layer.Digest.ToString()).Distinct()],
                Size = content.Manifest.Config.Size + content.Manifest.Layers.Sum(layer => layer.Size),
                Inodes = flat.Inodes,
                Created = created,
                Config = config,
            };
            WriteRecord(work, record);
            DurableFile.Publish(work, folder);
        }
        catch
        {
            DeleteFolder(work);
            throw;
        }
    }

    /// <summary>Brings all layers, several at a time, and reads each as soon as it is here.</summary>
    private async Task BringLayersAsync(
        ImageContent content, Digest[] diffIds, IImageBuild build, IProgress<ImageProgress>? progress, CancellationToken cancellation)
    {
        IReadOnlyList<Descriptor> layers = content.Manifest.Layers;
        var here = new long[layers.Count];
        long total = Math.Max(1, layers.Sum(layer => layer.Size));
        var meter = new ProgressMeter(progress, $"{layers.Count} layers, {total / 1048576.0:0.0} MiB");
        var work = new ParallelOptions { MaxDegreeOfParallelism = _registries.ParallelLayers, CancellationToken = cancellation };
        await Parallel.ForAsync(0, layers.Count, work, async (i, end) =>
        {
            string path = await _blobs.GetAsync(layers[i], content.Source, bytes =>
            {
                Volatile.Write(ref here[i], bytes);
                meter.Report((double)here.Sum() / total);
            }, end).ConfigureAwait(false);
            await build.AddLayerAsync(i, path, diffIds[i], end).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    private void CheckSizes(ImageContent content)
    {
        IReadOnlyList<Descriptor> layers = content.Manifest.Layers;
        if (layers.Any(layer => layer.Size > _limits.MaxBytes) || layers.Sum(layer => (decimal)layer.Size) > _limits.MaxBytes)
        {
            throw new ImageException(ImageFault.TooLarge, $"{content.Name} has layers of more than {_limits.MaxBytes >> 20} MiB, which is the limit. If it is to be trusted, raise the limit.");
        }
    }

    /// <summary>An image on its way in.</summary>
    private sealed record ImageContent(string Name, Digest Digest, byte[] Json, Manifest Manifest, IBlobSource Source);
}
