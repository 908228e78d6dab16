namespace Hearth.Images.RootFilesystems;

/// <summary>The host's own apt sources, as far as they serve a suite: no mirror is named in this program.</summary>
internal static class AptSources
{
    // REPO_URI|RELEASE|COMPONENT|CREATED_BY|SIGNED_BY|ORIGIN
    private const string Format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)|$(SIGNED_BY)|$(ORIGIN)";
    private const int FormatFields = 6;

    /// <summary>Lines for a sources.list.</summary>
    /// <exception cref="ImageException">This host has no Debian sources.</exception>
    public static async Task<IReadOnlyList<string>> ForSuiteAsync(string suite, IProgress<ImageProgress> progress, CancellationToken cancellation)
    {
        IReadOnlyList<string> lines = await ReadAsync(suite, cancellation).ConfigureAwait(false);
        if (lines.Count == 0 && await DebianPackages.TryUpdateAsync(progress, cancellation).ConfigureAwait(false))
        {
            // Whose they are is written in the lists, which were not there.
            lines = await ReadAsync(suite, cancellation).ConfigureAwait(false);
        }

        return lines.Count > 0
            ? lines
            : throw new ImageException("This host's apt has no Debian sources. Add some (/etc/apt/sources.list), then run apt-get update.");
    }

    /// <summary>From what <c>apt-get indextargets</c> prints in <see cref="Format"/>.</summary>
    internal static IReadOnlyList<string> Parse(string targets, string suite)
    {
        var lines = new List<string>();
        string? other = null;
        foreach (string target in targets.Split('\n'))
        {
            string[] fields = target.Split('|');
            if (fields.Length != FormatFields || fields[3] != "Packages" || fields[5] != "Debian")
            {
                continue;
            }

            (string uri, string release, string component) = (fields[0], fields[1], fields[2]);
            string signed = fields[4].StartsWith('/') ? $"[signed-by={fields[4]}] " : string.Empty;
            if (release == suite || release == suite + "-updates" || release == suite + "-security" || release == suite + "/updates")
            {
                string line = $"deb {signed}{uri} {release} {component}";
                if (!lines.Contains(line))
                {
                    lines.Add(line);
                }
            }
            else if (component == "main" && !release.Contains('-', StringComparison.Ordinal))
            {
                // Another suite than the host's: the same mirror has it.
                other ??= $"deb {signed}{uri} {suite} main";
            }
        }

        return lines.Count > 0 || other is null ? lines : [other];
    }

    private static async Task<IReadOnlyList<string>> ReadAsync(string suite, CancellationToken cancellation) =>
        Parse(await Tool.ReadAsync("apt-get", ["indextargets", "--format", Format], cancellation).ConfigureAwait(false), suite);
}
