using Hearth.Images.Tar;

namespace Hearth.Images.Layers;

/// <summary>
/// Which extended attributes of an image come through: what programs in a container may see and set for themselves
/// (<c>user.*</c>), file capabilities, and ACLs. Left out are labels of the machine the image was built on
/// (<c>security.selinux</c>, <c>security.ima</c>) and overlayfs' own (<c>trusted.*</c>, <c>user.overlay.*</c>), by which an
/// image could make the overlay that it is mounted under show other files than it has.
/// </summary>
internal static class KeptXattrs
{
    /// <summary>What Linux takes as one value, and for one file here.</summary>
    private const int MaxBytes = 64 << 10;

    public static IReadOnlyList<Xattr> Of(TarEntry entry)
    {
        if (entry.Xattrs.Count == 0)
        {
            return [];
        }

        Xattr[] kept = [.. entry.Xattrs.Where(xattr => IsKept(xattr.Name)).OrderBy(xattr => xattr.Name, StringComparer.Ordinal)];
        if (kept.Any(xattr => xattr.Name.Length > 255) || kept.Sum(xattr => (long)xattr.Name.Length + xattr.Value.Length) > MaxBytes)
        {
            throw PathWalk.Bad(entry.Name, $"has extended attributes of more than {MaxBytes >> 10} KiB, or a name of more than 255 bytes");
        }

        return kept;
    }

    private static bool IsKept(string name) =>
        name is "security.capability" or "system.posix_acl_access" or "system.posix_acl_default"
        || (name.StartsWith("user.", StringComparison.Ordinal) && name.Length > "user.".Length && !name.StartsWith("user.overlay.", StringComparison.Ordinal));
}
