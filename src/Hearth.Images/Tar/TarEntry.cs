namespace Hearth.Images.Tar;

internal enum TarEntryKind
{
    File,
    HardLink,
    SymbolicLink,
    CharacterNode,
    BlockNode,
    Folder,
    Fifo,
}

/// <summary>An extended attribute: its full name (<c>security.capability</c>) and its bytes.</summary>
internal readonly record struct Xattr(string Name, byte[] Value);

/// <summary>What an archive says of one file. Names are as in <see cref="RawName"/>, and nothing about them was checked.</summary>
internal sealed record TarEntry
{
    public required TarEntryKind Kind { get; init; }

    public required string Name { get; init; }

    /// <summary>Where a link goes.</summary>
    public string LinkName { get; init; } = string.Empty;

    /// <summary>Permission bits, with setuid, setgid and sticky.</summary>
    public required ushort Mode { get; init; }

    public required uint Uid { get; init; }

    public required uint Gid { get; init; }

    /// <summary>Seconds since 1970.</summary>
    public required long MtimeSeconds { get; init; }

    public uint MtimeNanoseconds { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>Bytes of the file once it is unpacked, holes counted.</summary>
    public required long Size { get; init; }

    public IReadOnlyList<Xattr> Xattrs { get; init; } = [];
}

/// <summary>A piece of a sparse file that has bytes in the archive.</summary>
internal readonly record struct SparseExtent(long Offset, long Length);
