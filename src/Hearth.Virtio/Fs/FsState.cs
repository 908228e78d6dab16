namespace Hearth.Virtio.Fs;

/// <summary>What a snapshot keeps of a file system. Which files the guest has open is its back end's to know, and lost.</summary>
public sealed record FsState
{
    public required string Tag { get; init; }

    /// <summary>Where the back end listened; the restored device may have another.</summary>
    public required string Socket { get; init; }
}
