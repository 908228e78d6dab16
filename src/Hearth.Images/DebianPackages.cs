namespace Hearth.Images;

/// <summary>Debian packages by apt, without installing them and without root.</summary>
internal static class DebianPackages
{
    /// <summary>
    /// The package that a meta-package depends on: linux-image-6.1.0-30-cloud-amd64 for linux-image-cloud-amd64; null if
    /// it depends on none of that prefix.
    /// </summary>
    /// <exception cref="ImageException">apt does not know the package.</exception>
    public static async Task<string?> ResolveMetaAsync(string meta, string prefix, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        string text = await Tool.ReadDespiteStatusAsync("apt-cache", ["depends", meta], cancellation).ConfigureAwait(false);
        if (text.Length == 0)
        {
            // Unknown: where the lists are missing, this is what gets them.
            await CandidateVersionAsync(meta, progress, cancellation).ConfigureAwait(false);
            text = await Tool.ReadAsync("apt-cache", ["depends", meta], cancellation).ConfigureAwait(false);
        }

        return Fields(text, "Depends: ").FirstOrDefault(d => d.StartsWith(prefix, StringComparison.Ordinal));
    }

    /// <summary>The version apt would install.</summary>
    /// <exception cref="ImageException">apt does not know the package.</exception>
    public static async Task<string> CandidateVersionAsync(string package, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        string? version = await FindCandidateAsync(package, cancellation).ConfigureAwait(false);
        if (version is null && await TryUpdateAsync(progress, cancellation).ConfigureAwait(false))
        {
            version = await FindCandidateAsync(package, cancellation).ConfigureAwait(false);
        }

        return version ?? throw new ImageException($"apt knows no package {package}. Run apt-get update, with Debian's main archive among the sources.");
    }

    /// <summary>Downloads a package into <paramref name="folder"/>; gives the file.</summary>
    public static async Task<string> DownloadAsync(string package, string folder, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        string download = Directory.CreateDirectory(Path.Combine(folder, "download")).FullName;
        string[] arguments = ["download", "-qq", package];
        try
        {
            await Tool.RunAsync("apt-get", arguments, cancellation, download).ConfigureAwait(false);
        }
        catch (ImageException)
        {
            // Most often the lists are older than the archive, and name a version that is gone.
            if (!await TryUpdateAsync(progress, cancellation).ConfigureAwait(false))
            {
                throw;
            }

            await Tool.RunAsync("apt-get", arguments, cancellation, download).ConfigureAwait(false);
        }

        return Directory.EnumerateFiles(download, "*.deb").FirstOrDefault()
            ?? throw new ImageException($"apt-get download {package} left no file.");
    }

    /// <summary>Downloads a package and unpacks it into <paramref name="destination"/>.</summary>
    public static async Task FetchAsync(string package, string folder, string destination, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        string file = await DownloadAsync(package, folder, progress, cancellation).ConfigureAwait(false);
        await UnpackAsync(file, destination, cancellation).ConfigureAwait(false);
        File.Delete(file);
    }

    public static Task UnpackAsync(string file, string destination, CancellationToken cancellation) =>
        Tool.RunAsync("dpkg-deb", ["--extract", file, destination], cancellation);

    /// <summary>Installs packages that a build needs where we are root; else says which are missing.</summary>
    public static async Task InstallMissingAsync(IReadOnlyList<string> packages, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        // Its status says that some are unknown; its answer, which are there.
        string known = await Tool.ReadDespiteStatusAsync("dpkg-query", ["-W", "-f", "${Package} ${Status}\\n", .. packages], cancellation).ConfigureAwait(false);
        HashSet<string> installed = [.. known.Split('\n')
            .Where(l => l.EndsWith(" install ok installed", StringComparison.Ordinal))
            .Select(l => l[..l.IndexOf(' ', StringComparison.Ordinal)])];
        string[] missing = [.. packages.Where(p => !installed.Contains(p))];
        if (missing.Length == 0)
        {
            return;
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new ImageException($"These packages are needed and not installed. Install them: apt-get install {string.Join(' ', missing)}");
        }

        await TryUpdateAsync(progress, cancellation).ConfigureAwait(false);
        progress.Report(new ImageProgress($"Installing {string.Join(' ', missing)}"));
        await Tool.RunAsync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", .. missing], cancellation, gently: true).ConfigureAwait(false);
    }

    /// <summary>Brings the package lists up to date where we may; false where we may not.</summary>
    public static async Task<bool> TryUpdateAsync(IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return false;
        }

        progress.Report(new ImageProgress("Updating the package lists"));
        await Tool.RunAsync("apt-get", ["update", "-qq"], cancellation, gently: true).ConfigureAwait(false);
        return true;
    }

    private static async Task<string?> FindCandidateAsync(string package, CancellationToken cancellation)
    {
        string text = await Tool.ReadAsync("apt-cache", ["policy", package], cancellation).ConfigureAwait(false);
        return Fields(text, "Candidate: ").FirstOrDefault(v => v != "(none)");
    }

    private static IEnumerable<string> Fields(string text, string name) =>
        text.Split('\n').Select(l => l.Trim()).Where(l => l.StartsWith(name, StringComparison.Ordinal)).Select(l => l[name.Length..]);
}
