using System.Text.Json.Serialization;

namespace Hearth.Images.Registries;

/// <summary>A token server's answer. Source: distribution, "Token Authentication Specification".</summary>
internal sealed record TokenDocument
{
    [JsonPropertyName("token")]
    public string? Token { get; init; }

    [JsonPropertyName("access_token")]
    public string? AccessToken { get; init; }
}

/// <summary>A registry's error. Source: OCI distribution-spec, "Error Codes".</summary>
internal sealed record ErrorsDocument
{
    [JsonPropertyName("errors")]
    public List<ErrorEntry?>? Errors { get; init; }
}

internal sealed record ErrorEntry
{
    [JsonPropertyName("code")]
    public string? Code { get; init; }

    [JsonPropertyName("message")]
    public string? Message { get; init; }
}

/// <summary>What <c>docker login</c> and <c>skopeo login</c> write.</summary>
internal sealed record DockerConfigDocument
{
    [JsonPropertyName("auths")]
    public Dictionary<string, DockerConfigAuth?>? Auths { get; init; }
}

internal sealed record DockerConfigAuth
{
    [JsonPropertyName("auth")]
    public string? Auth { get; init; }

    [JsonPropertyName("username")]
    public string? Username { get; init; }

    [JsonPropertyName("password")]
    public string? Password { get; init; }

    [JsonPropertyName("identitytoken")]
    public string? IdentityToken { get; init; }
}
