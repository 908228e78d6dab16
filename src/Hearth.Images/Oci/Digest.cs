using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Hearth.Images.Oci;

/// <summary>
/// What bytes are named by: <c>sha256:</c> or <c>sha512:</c> and lower-case hexadecimal digits. A value of this type was
/// checked, so it can be part of a path. Source: OCI image-spec, descriptor.md, "Digests".
/// </summary>
public readonly record struct Digest
{
    private const string Sha256Prefix = "sha256:";
    private const string Sha512Prefix = "sha512:";

    private readonly string? _text;

    private Digest(string text) => _text = text;

    /// <summary><c>sha256</c> or <c>sha512</c>.</summary>
    public string Algorithm => Text[..Text.IndexOf(':')];

    /// <summary>The hexadecimal digits.</summary>
    public string Hex => Text[(Text.IndexOf(':') + 1)..];

    private string Text => _text ?? throw new InvalidOperationException("A digest that was never set.");

    public static bool TryParse([NotNullWhen(true)] string? text, out Digest digest)
    {
        int hex = text switch
        {
            not null when text.StartsWith(Sha256Prefix, StringComparison.Ordinal) => text.Length == Sha256Prefix.Length + 64 ? Sha256Prefix.Length : 0,
            not null when text.StartsWith(Sha512Prefix, StringComparison.Ordinal) => text.Length == Sha512Prefix.Length + 128 ? Sha512Prefix.Length : 0,
            _ => 0,
        };
        bool good = hex > 0 && !text.AsSpan(hex).ContainsAnyExcept("0123456789abcdef");
        digest = good ? new Digest(text!) : default;
        return good;
    }

    /// <exception cref="ImageException">The text is no digest.</exception>
    public static Digest Parse(string? text) =>
        TryParse(text, out Digest digest)
            ? digest
            : throw new ImageException(ImageFault.BadContent, $"\"{text}\" is no digest. A digest is sha256: and 64 hexadecimal digits, or sha512: and 128, in lower case.");

    /// <summary>The sha256 digest of these bytes.</summary>
    public static Digest Of(ReadOnlySpan<byte> bytes) => new(Sha256Prefix + Convert.ToHexStringLower(SHA256.HashData(bytes)));

    /// <summary>The digest that a hash of the algorithm of <paramref name="like"/> has come to.</summary>
    internal static Digest Finish(IncrementalHash hash, Digest like) => new(like.Algorithm + ":" + Convert.ToHexStringLower(hash.GetHashAndReset()));

    /// <summary>A hash of this digest's algorithm.</summary>
    internal IncrementalHash CreateHash() => IncrementalHash.CreateHash(Algorithm == "sha512" ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256);

    /// <summary>Whether these bytes are the ones that this digest names.</summary>
    internal bool Names(ReadOnlySpan<byte> bytes)
    {
        using IncrementalHash hash = CreateHash();
        hash.AppendData(bytes);
        return Finish(hash, this) == this;
    }

    public override string ToString() => _text ?? string.Empty;
}
