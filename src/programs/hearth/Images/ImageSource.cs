using Hearth.Configuration;
using Hearth.Images.Layers;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Images;

/// <summary>The image store that hearthd uses, opened by this process: a pull that a person waits for shows how far it is, which CRI cannot say.</summary>
internal static class ImageSource
{
    public static ImageStore Open(Settings settings, string? root = null, IReadOnlySet<string>? plainHttp = null)
    {
        HearthConfig config = settings.Config;
        Func<string, RegistryCredentials?> own = DockerConfig.OfUser();
        Dictionary<string, RegistryConfig> known = config.Registries.ToDictionary(registry => registry.Host);
        var options = new RegistryOptions
        {
            PlainHttp = new HashSet<string>(config.Registries.Where(registry => registry.PlainHttp).Select(registry => registry.Host).Concat(plainHttp ?? new HashSet<string>())),
            Mirrors = config.Registries.Where(registry => registry.Mirrors.Count > 0).ToDictionary(registry => registry.Host, registry => registry.Mirrors),
            Credentials = host => own(host) ?? Configured(known.GetValueOrDefault(host)),
            IdleTimeout = TimeSpan.FromSeconds(config.Images.IdleTimeoutS),
            ParallelLayers = config.Images.ParallelLayers,
        };
        var limits = new ImageLimits { MaxBytes = config.Images.MaxImageMib << 20, MaxEntries = config.Images.MaxEntries };
        return new ImageStore(root ?? settings.ImagesFolder, options, limits);
    }

    private static RegistryCredentials? Configured(RegistryConfig? registry)
    {
        if (registry is null || registry.Username.Length == 0)
        {
            return null;
        }

        try
        {
            return new RegistryCredentials { Username = registry.Username, Password = registry.PasswordFile.Length == 0 ? "" : File.ReadAllText(registry.PasswordFile).TrimEnd('\n', '\r') };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandLineException($"The password for {registry.Host} cannot be read: {e.Message} (password_file in the configuration)", 1, e);
        }
    }
}
