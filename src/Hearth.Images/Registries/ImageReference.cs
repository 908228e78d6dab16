using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>
/// The name of an image at a registry, as people write it and in full: <c>alpine</c> is
/// <c>docker.io/library/alpine:latest</c>. Source: the reference grammar of distribution/reference and OCI distribution-spec.
/// </summary>
public sealed partial record ImageReference
{
    private const string DockerHub = "docker.io";
    private const string DockerHubAlias = "index.docker.io";
    private const string DefaultTag = "latest";
    private const int MaxRepositoryLength = 255;
    private const int MaxLength = 1024;

    private ImageReference(string registry, string repository, string? tag, Digest? digest)
    {
        (Registry, Repository, Tag, Digest) = (registry, repository, tag, digest);
    }

    /// <summary>Host, and port if one was given: <c>docker.io</c>, <c>localhost:5000</c>.</summary>
    public string Registry { get; }

    /// <summary><c>library/alpine</c>.</summary>
    public string Repository { get; }

    /// <summary>Null where only a digest was given.</summary>
    public string? Tag { get; }

    /// <summary>Null where none was given; with one, the tag is only for people.</summary>
    public Digest? Digest { get; }

    /// <summary>Registry and repository: <c>docker.io/library/alpine</c>.</summary>
    public string Name => $"{Registry}/{Repository}";

    /// <summary>What registries call it: the digest, else the tag.</summary>
    public string TagOrDigest => Digest?.ToString() ?? Tag!;

    /// <summary>Reads a name.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out ImageReference? reference)
    {
        reference = null;
        if (text is not { Length: <= MaxLength } || Grammar().Match(text) is not { Success: true } match)
        {
            return false;
        }

        string name = match.Groups["name"].Value;
        int slash = name.IndexOf('/');
        string first = slash < 0 ? string.Empty : name[..slash];
        // A first part is a host only if it looks like one: "user/image" is at Docker Hub.
        bool host = first.Contains('.') || first.Contains(':') || first == "localhost" || first.Any(char.IsAsciiLetterUpper);
        string registry = host ? first : DockerHub;
        registry = registry == DockerHubAlias ? DockerHub : registry;
        string repository = host ? name[(slash + 1)..] : name;
        if (registry == DockerHub && !repository.Contains('/'))
        {
            repository = "library/" + repository;
        }

        Digest? digest = null;
        if (match.Groups["digest"] is { Success: true } group)
        {
            if (!Oci.Digest.TryParse(group.Value, out Digest parsed))
            {
                return false;
            }

            digest = parsed;
        }

        string? tag = match.Groups["tag"] is { Success: true } given ? given.Value : digest is null ? DefaultTag : null;
        if (!Host().IsMatch(registry) || !Path().IsMatch(repository) || repository.Length > MaxRepositoryLength || IsHexName(name))
        {
            return false;
        }

        reference = new ImageReference(registry, repository, tag, digest);
        return true;
    }

    /// <exception cref="ImageException">The text is no reference.</exception>
    public static ImageReference Parse(string? text) =>
        TryParse(text, out ImageReference? reference)
            ? reference
            : throw new ImageException(
                ImageFault.InvalidReference,
                $"\"{text}\" is no image name. One is [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST], the name in lower case: alpine:3.20, localhost:5000/team/app.");

    /// <summary>The same name with another digest, and without a tag.</summary>
    public ImageReference WithDigest(Digest digest) => new(Registry, Repository, null, digest);

    /// <summary>In full: <c>docker.io/library/alpine:latest</c>.</summary>
    public override string ToString() => Name + (Tag is null ? "" : ":" + Tag) + (Digest is { } digest ? "@" + digest : "");

    // 64 hexadecimal digits are an image's ID everywhere, and no name.
    private static bool IsHexName(string name) => name.Length == 64 && !name.AsSpan().ContainsAnyExcept("0123456789abcdef");

    [GeneratedRegex(@"\A(?<name>[^@]+?)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>[^@]+))?\z")]
    private static partial Regex Grammar();

    [GeneratedRegex(@"\A(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?\z")]
    private static partial Regex Host();

    [GeneratedRegex(@"\A[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\z")]
    private static partial Regex Path();
}
