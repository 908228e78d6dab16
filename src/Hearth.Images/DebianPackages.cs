namespace Hearth.Images;

/// <summary>Debian packages by apt, without installing them and without root.</summary>
internal static class DebianPackages
{
    /// <summary>The newest version's package that a meta-package depends on: linux-image-6.1.0-30-cloud-amd64 for linux-image-cloud-amd64.</summary>
    public static async Task<string> ResolveMetaAsync(string meta, string prefix, CancellationToken cancellation)
    {
        string text = await Tool.ReadAsync("apt-cache", ["depends", meta], cancellation).ConfigureAwait(false);
        foreach (string line in text.Split('\n'))
        {
            string trimmed = line.Trim();
            if (trimmed.StartsWith("Depends: " + prefix, StringComparison.Ordinal))
            {
                return trimmed["Depends: ".Length..];
            }
        }

        throw new ImageException($"apt knows no package that {meta} stands for. Run apt-get update, with Debian's main archive among the sources.");
    }

    /// <summary>The version apt would install.</summary>
    public static async Task<string> CandidateVersionAsync(string package, CancellationToken cancellation)
    {
        string text = await Tool.ReadAsync("apt-cache", ["policy", package], cancellation).ConfigureAwait(false);
        foreach (string line in text.Split('\n'))
        {
            string trimmed = line.Trim();
            if (trimmed.StartsWith("Candidate: ", StringComparison.Ordinal) && !trimmed.EndsWith("(none)", StringComparison.Ordinal))
            {
                return trimmed["Candidate: ".Length..];
            }
        }

        throw new ImageException($"apt knows no package {package}. Run apt-get update, with Debian's main archive among the sources.");
    }

    /// <summary>Downloads a package into <paramref name="folder"/> and unpacks it into <paramref name="destination"/>.</summary>
    public static async Task FetchAsync(string package, string folder, string destination, CancellationToken cancellation)
    {
        string download = Directory.CreateDirectory(Path.Combine(folder, "download-" + package)).FullName;
        await Tool.RunAsync("apt-get", ["download", "-qq", package], cancellation, download).ConfigureAwait(false);
        string file = Directory.EnumerateFiles(download, "*.deb").FirstOrDefault()
            ?? throw new ImageException($"apt-get download {package} left no file.");
        await UnpackAsync(file, destination, cancellation).ConfigureAwait(false);
        File.Delete(file);
    }

    public static Task UnpackAsync(string file, string destination, CancellationToken cancellation) =>
        Tool.RunAsync("dpkg-deb", ["--extract", file, destination], cancellation);

    /// <summary>Installs packages that a build needs where we are root; else says which are missing.</summary>
    public static async Task InstallMissingAsync(IReadOnlyList<string> packages, IProgress<string> progress, CancellationToken cancellation)
    {
        var missing = new List<string>();
        foreach (string package in packages)
        {
            if (!await IsInstalledAsync(package, cancellation).ConfigureAwait(false))
            {
                missing.Add(package);
            }
        }

        if (missing.Count == 0)
        {
            return;
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new ImageException($"These packages are needed and not installed: apt-get install {string.Join(' ', missing)}");
        }

        progress.Report($"Installing {string.Join(' ', missing)}");
        await Tool.RunAsync("apt-get", ["update", "-qq"], cancellation).ConfigureAwait(false);
        await Tool.RunAsync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", .. missing], cancellation).ConfigureAwait(false);
    }

    private static async Task<bool> IsInstalledAsync(string package, CancellationToken cancellation)
    {
        try
        {
            string status = await Tool.ReadAsync("dpkg-query", ["-W", "-f", "${Status}", package], cancellation).ConfigureAwait(false);
            return status.Contains("install ok installed", StringComparison.Ordinal);
        }
        catch (ImageException)
        {
            // dpkg-query's status 1: it has never heard of the package.
            return false;
        }
    }
}
