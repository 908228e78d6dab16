using System.Globalization;

namespace Hearth.Images.RootFilesystems;

/// <summary>What a root file system should hold.</summary>
public sealed record RootFilesystemOptions
{
    /// <summary>The Debian suite.</summary>
    public string Suite { get; init; } = "bookworm";

    /// <summary>Packages besides a minimal Debian with an init.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>The image's size in MiB; null for what is in it and half as much again.</summary>
    public int? SizeMib { get; init; }
}

/// <summary>
/// Builds a Debian root file system as an ext4 image with a root login on ttyS0: mmdebstrap and <c>mke2fs -d</c>,
/// without root privileges where the host allows user namespaces. Kept in the cache by the hash of its recipe.
/// </summary>
public sealed class RootFilesystemBuilder
{
    private const int SmallestMib = 128;

    // System V init: up in a fraction of systemd's time where instructions are dear, and `reboot` is reboot.
    private static readonly string[] s_packages = ["sysvinit-core", "iproute2", "procps", "kmod", "login", "passwd", "util-linux", "mount"];

    private readonly ImageCache _cache;
    private readonly IProgress<string> _progress;

    public RootFilesystemBuilder(ImageCache cache, IProgress<string> progress)
    {
        _cache = cache;
        _progress = progress;
    }

    /// <summary>Builds, or finds in the cache; returns the cached file's path.</summary>
    /// <exception cref="ImageException">A name is no name, a tool is missing, or a step failed.</exception>
    public async Task<string> BuildAsync(RootFilesystemOptions options, CancellationToken cancellation)
    {
        foreach (string name in options.Include.Append(options.Suite))
        {
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '+' or '-' or ':' or '=' or '~'))
            {
                throw new ImageException($"\"{name}\" is no name of a Debian package or suite.");
            }
        }

        if (options.SizeMib is < SmallestMib)
        {
            throw new ImageException($"A root file system of {options.SizeMib} MiB is too small. Give --size {SmallestMib} or more, or leave it out.");
        }

        string[] packages = [.. s_packages, .. options.Include];
        string key = ImageCache.Key(["1", options.Suite, options.SizeMib?.ToString(CultureInfo.InvariantCulture) ?? "auto", SetUpScript, .. packages]);
        return await _cache.GetAsync("rootfs", key, "rootfs.ext4", path => BuildAsync(options, packages, path, cancellation)).ConfigureAwait(false);
    }

    // Runs in mmdebstrap's chroot hook: $1 is the tree.
    private const string SetUpScript =
        """
        set -e
        passwd -R "$1" -d root 2>/dev/null || sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
        echo hearth >"$1/etc/hostname"
        printf '127.0.0.1 localhost\n127.0.1.1 hearth\n' >"$1/etc/hosts"
        printf 'LABEL=root / ext4 defaults 0 0\n' >"$1/etc/fstab"
        if [ -f "$1/etc/inittab" ]; then
          sed -i -e 's/^\([1-6]\):/#\1:/' "$1/etc/inittab"
          echo 'T0:23:respawn:/sbin/getty -L ttyS0 115200 vt102' >>"$1/etc/inittab"
        fi
        # What a microVM has no use for at boot.
        for service in hwclock.sh; do rm -f "$1"/etc/rc?.d/*"$service"; done
        rm -rf "$1/var/lib/apt/lists"/* "$1/var/cache/apt"/*.bin
        """;

    private async Task BuildAsync(RootFilesystemOptions options, string[] packages, string output, CancellationToken cancellation)
    {
        string work = Path.GetDirectoryName(output)!;
        string tree = Path.Combine(work, "rootfs.tar");
        string script = Path.Combine(work, "set-up.sh");
        await File.WriteAllTextAsync(script, SetUpScript, cancellation).ConfigureAwait(false);
        _progress.Report($"Fetching Debian {options.Suite} with {packages.Length} packages");
        string sources = await SourcesAsync(options.Suite, cancellation).ConfigureAwait(false);
        string sourcesFile = Path.Combine(work, "sources.list");
        await File.WriteAllTextAsync(sourcesFile, sources, cancellation).ConfigureAwait(false);
        await Tool.RunAsync(
            "mmdebstrap",
            [
                "--variant=minbase",
                $"--include={string.Join(',', packages)}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                $"--customize-hook=sh {script} \"$1\"",
                options.Suite,
                tree,
                sourcesFile,
            ],
            cancellation,
            onLine: line =>
            {
                if (line.StartsWith("I: ", StringComparison.Ordinal) && !line.Contains("done", StringComparison.Ordinal))
                {
                    _progress.Report(line[3..]);
                }
            }).ConfigureAwait(false);

        _progress.Report("Writing the ext4 image");
        string root = Path.Combine(work, "root");
        Directory.CreateDirectory(root);
        // Device nodes need privileges and are not wanted: the kernel's devtmpfs makes them.
        await Tool.RunAsync("tar", ["-C", root, "-xf", tree, "--exclude=./dev/*"], cancellation).ConfigureAwait(false);
        File.Delete(tree);
        int size = options.SizeMib ?? await AutomaticSizeAsync(root, cancellation).ConfigureAwait(false);
        using (FileStream image = File.Create(output))
        {
            image.SetLength((long)size << 20);
        }

        await Tool.RunAsync(
            "mke2fs",
            ["-q", "-t", "ext4", "-L", "root", "-E", $"root_owner=0:0,lazy_itable_init=1", "-d", root, output],
            cancellation).ConfigureAwait(false);
        _progress.Report($"Built the root file system: {size} MiB");
    }

    // Half as much again, for the guest to work in.
    private static async Task<int> AutomaticSizeAsync(string folder, CancellationToken cancellation)
    {
        string text = await Tool.ReadAsync("du", ["-sm", "--apparent-size", folder], cancellation).ConfigureAwait(false);
        int used = int.Parse(text.Split('\t')[0], CultureInfo.InvariantCulture);
        return Math.Max(SmallestMib, (used * 3 / 2) + 64);
    }

    // The host's own apt sources, as far as they serve the suite: no mirror is named here.
    private static async Task<string> SourcesAsync(string suite, CancellationToken cancellation)
    {
        string text = await Tool.ReadAsync(
            "apt-get",
            ["indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)|$(SIGNED_BY)"],
            cancellation).ConfigureAwait(false);
        var lines = new HashSet<string>(StringComparer.Ordinal);
        string? main = null;
        foreach (string line in text.Split('\n'))
        {
            string[] parts = line.Split('|');
            if (parts.Length != 5 || parts[3] != "Packages" || parts[2] is not ("main" or "contrib" or "non-free" or "non-free-firmware"))
            {
                continue;
            }

            string signed = parts[4].StartsWith('/') ? $"[signed-by={parts[4]}] " : string.Empty;
            if (parts[1] == suite || parts[1] == suite + "-updates" || parts[1] == suite + "-security")
            {
                lines.Add($"deb {signed}{parts[0]} {parts[1]} {parts[2]}");
            }
            else if (parts[2] == "main" && !parts[1].Contains('-', StringComparison.Ordinal))
            {
                main ??= $"deb {signed}{parts[0]} {suite} main";
            }
        }

        if (lines.Count == 0)
        {
            // Another suite than the host's: the same mirror has it.
            lines.Add(main ?? throw new ImageException("This host's apt has no Debian sources. Add some (/etc/apt/sources.list), then run apt-get update."));
        }

        return string.Join('\n', lines) + "\n";
    }
}
