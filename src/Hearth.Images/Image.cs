using Hearth.Images.Oci;
using Hearth.Linux;

namespace Hearth.Images;

/// <summary>An image that is here, ready to be a container's root file system.</summary>
public sealed record Image
{
    private const string PasswdFile = "passwd";
    private const string GroupFile = "group";

    /// <summary>The digest of its configuration, which is what Docker and the kubelet call its ID.</summary>
    public required Digest Id { get; init; }

    /// <summary>The digest of its manifest for this machine.</summary>
    public required Digest Manifest { get; init; }

    /// <summary>Names with tags: <c>docker.io/library/alpine:3.20</c>. Empty for an image whose tags have moved on.</summary>
    public required IReadOnlyList<string> Tags { get; init; }

    /// <summary>Names with digests: <c>docker.io/library/alpine@sha256:…</c>.</summary>
    public required IReadOnlyList<string> Digests { get; init; }

    /// <summary>Bytes it was pulled as.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Files, folders and links in it.</summary>
    public required int Inodes { get; init; }

    /// <summary>When it was built, as its builder says: RFC 3339, or null.</summary>
    public string? Created { get; init; }

    /// <summary>How it wants to be run.</summary>
    public required ImageConfig Config { get; init; }

    /// <summary>Its folder in the store.</summary>
    public required string Folder { get; init; }

    /// <summary>The EROFS image: read-only, the same bytes for the same image, shared by all who use it.</summary>
    public string RootFilesystem => Path.Combine(Folder, RootFilesystemFile);

    internal const string RootFilesystemFile = "rootfs.erofs";

    /// <summary>Finds out who a container runs as, from the image's own user and group files.</summary>
    /// <param name="user">As in <see cref="ImageConfig.User"/>.</param>
    /// <exception cref="ImageException">The image does not have that user or group.</exception>
    public ImageUser ResolveUser(string user) => new ImageUsers(Read(PasswdFile), Read(GroupFile)).Resolve(user);

    /// <summary>Keeps what <see cref="ResolveUser"/> needs, so that nothing of the image has to be mounted for it.</summary>
    internal static void WriteUserFiles(string folder, byte[] passwd, byte[] group)
    {
        DurableFile.Write(Path.Combine(folder, PasswdFile), passwd);
        DurableFile.Write(Path.Combine(folder, GroupFile), group);
    }

    private byte[] Read(string name)
    {
        try
        {
            return File.ReadAllBytes(Path.Combine(Folder, name));
        }
        catch (IOException e)
        {
            throw new ImageException(ImageFault.NotFound, $"The image {Id} was removed: {e.Message}", e);
        }
    }
}
