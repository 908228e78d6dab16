using Hearth.Images.Tar;

namespace Hearth.Images.Layers;

internal enum InodeKind
{
    Folder,
    File,
    SymbolicLink,
    CharacterNode,
    BlockNode,
    Fifo,

    /// <summary>Only in a layer: the inode that <see cref="Inode.LinkTarget"/> names in the layers below.</summary>
    LinkBelow,
}

/// <summary>
/// A file of a layer, or of the whole image. Hard links are one inode under several names; a file's bytes stay in its
/// layer's archive, where <see cref="Layer"/> and <see cref="Ordinal"/> find them again.
/// </summary>
internal sealed class Inode
{
    public required InodeKind Kind { get; init; }

    public ushort Mode { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public long MtimeSeconds { get; set; }

    public uint MtimeNanoseconds { get; set; }

    public IReadOnlyList<Xattr> Xattrs { get; set; } = [];

    public long Size { get; init; }

    /// <summary>Of a symbolic link, and of <see cref="InodeKind.LinkBelow"/>; as in <see cref="RawName"/>.</summary>
    public string LinkTarget { get; init; } = string.Empty;

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>The layer whose archive has the bytes; 0 is the lowest.</summary>
    public int Layer { get; init; }

    /// <summary>Which entry of that archive, from 0.</summary>
    public int Ordinal { get; init; }

    /// <summary>A folder that no entry tells of, but that files are in: over a folder of a lower layer it changes nothing.</summary>
    public bool Implied { get; set; }

    /// <summary>A folder that hides what lower layers have in it.</summary>
    public bool Opaque { get; set; }

    /// <summary>A folder's files, by name; null for anything else.</summary>
    public Dictionary<string, Inode>? Children { get; private init; }

    /// <summary>Names that a folder hides in lower layers; null for none.</summary>
    public HashSet<string>? Whiteouts { get; set; }

    public static Inode NewFolder() =>
        new() { Kind = InodeKind.Folder, Mode = 0x1ed, Implied = true, Children = new Dictionary<string, Inode>(StringComparer.Ordinal) };

    /// <summary>Takes over what an entry, or a higher layer's folder, says of a folder.</summary>
    public void Describe(ushort mode, uint uid, uint gid, long seconds, uint nanoseconds, IReadOnlyList<Xattr> xattrs)
    {
        (Mode, Uid, Gid, MtimeSeconds, MtimeNanoseconds, Xattrs, Implied) = (mode, uid, gid, seconds, nanoseconds, xattrs, false);
    }
}
