namespace Hearth.Images.Layers;

/// <summary>What an image may cost the host before it is refused.</summary>
public sealed record ImageLimits
{
    /// <summary>Bytes of all layers once uncompressed; and, counted for itself, of the files in them with their holes.</summary>
    public long MaxBytes { get; init; } = 64L << 30;

    /// <summary>Files, folders and links of all layers, with the folders that no archive lists.</summary>
    public int MaxEntries { get; init; } = 1_000_000;

    /// <summary>Bytes of all extended attributes.</summary>
    public long MaxXattrBytes { get; init; } = 64 << 20;
}

/// <summary>Counts what an image has cost so far, over all its layers; may be used from several threads.</summary>
internal sealed class ImageBudget(ImageLimits limits)
{
    private long _archiveBytes;
    private long _fileBytes;
    private int _entries;
    private long _xattrBytes;

    public void AddArchiveBytes(long bytes) => Add(ref _archiveBytes, bytes);

    public void AddFileBytes(long bytes) => Add(ref _fileBytes, bytes);

    public void AddEntry()
    {
        if (Interlocked.Increment(ref _entries) > limits.MaxEntries)
        {
            throw TooLarge($"{limits.MaxEntries} files");
        }
    }

    public void AddXattrBytes(long bytes)
    {
        if (Interlocked.Add(ref _xattrBytes, bytes) > limits.MaxXattrBytes)
        {
            throw TooLarge($"{limits.MaxXattrBytes >> 20} MiB of extended attributes");
        }
    }

    private void Add(ref long sum, long bytes)
    {
        // Compared before it is added, so that the sum cannot overflow.
        if (bytes > limits.MaxBytes || Interlocked.Add(ref sum, bytes) > limits.MaxBytes)
        {
            throw TooLarge($"{limits.MaxBytes >> 20} MiB uncompressed");
        }
    }

    private static ImageException TooLarge(string limit) =>
        new(ImageFault.TooLarge, $"The image has more than {limit}, which is the limit. If it is to be trusted, raise the limit.");
}
