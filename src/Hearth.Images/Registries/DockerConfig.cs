using System.Text;
using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>Credentials from the file that <c>docker login</c>, <c>podman login</c> and <c>skopeo login</c> write.</summary>
public static class DockerConfig
{
    // What Docker calls its Hub in that file.
    private const string HubKey = "index.docker.io/v1/";

    /// <summary>Looks credentials up in the user's file: <c>$REGISTRY_AUTH_FILE</c>, <c>$DOCKER_CONFIG/config.json</c> or <c>~/.docker/config.json</c>.</summary>
    /// <exception cref="ImageException">The file is there and cannot be read.</exception>
    public static Func<string, RegistryCredentials?> OfUser()
    {
        string? folder = Environment.GetEnvironmentVariable("DOCKER_CONFIG");
        string path = Environment.GetEnvironmentVariable("REGISTRY_AUTH_FILE") is { Length: > 0 } file ? file
            : Path.Combine(string.IsNullOrEmpty(folder) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".docker") : folder, "config.json");
        try
        {
            return File.Exists(path) ? Parse(File.ReadAllBytes(path), path) : _ => null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot read credentials from {path}: {e.Message}", e);
        }
    }

    /// <summary>Reads such a file.</summary>
    /// <exception cref="ImageException">It is malformed.</exception>
    public static Func<string, RegistryCredentials?> Parse(ReadOnlySpan<byte> json, string path)
    {
        DockerConfigDocument document = ImageDocuments.Parse(json, OciJson.Default.DockerConfigDocument, $"The credentials file {path}");
        var found = new Dictionary<string, RegistryCredentials>(StringComparer.OrdinalIgnoreCase);
        foreach ((string key, DockerConfigAuth? auth) in document.Auths ?? [])
        {
            if (auth is not null && Read(auth, path) is { } credentials)
            {
                found[Host(key)] = credentials;
            }
        }

        return registry => found.GetValueOrDefault(registry);
    }

    /// <summary>Reads the <c>auth</c> field: <c>name:password</c> in base 64.</summary>
    /// <exception cref="ImageException">It is not that.</exception>
    public static RegistryCredentials FromAuth(string auth, string where)
    {
        var bytes = new byte[auth.Length];
        string text = Convert.TryFromBase64String(auth.Trim(), bytes, out int length) ? Encoding.UTF8.GetString(bytes, 0, length).TrimEnd('\0') : string.Empty;
        int colon = text.IndexOf(':');
        return colon >= 0
            ? new RegistryCredentials { Username = text[..colon], Password = text[(colon + 1)..] }
            : throw new ImageException(ImageFault.Denied, $"The credentials in {where} are not NAME:PASSWORD in base 64. Log in again.");
    }

    private static RegistryCredentials? Read(DockerConfigAuth auth, string path)
    {
        if (!string.IsNullOrEmpty(auth.IdentityToken))
        {
            return new RegistryCredentials { IdentityToken = auth.IdentityToken };
        }

        return !string.IsNullOrEmpty(auth.Auth) ? FromAuth(auth.Auth, path)
            : !string.IsNullOrEmpty(auth.Username) ? new RegistryCredentials { Username = auth.Username, Password = auth.Password }
            : null;
    }

    private static string Host(string key)
    {
        string bare = key.StartsWith("https://", StringComparison.Ordinal) ? key["https://".Length..] : key;
        bare = bare.StartsWith("http://", StringComparison.Ordinal) ? bare["http://".Length..] : bare;
        return bare is HubKey or "index.docker.io" ? "docker.io" : bare.Split('/')[0];
    }
}
