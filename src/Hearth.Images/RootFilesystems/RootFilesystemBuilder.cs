using System.Globalization;

namespace Hearth.Images.RootFilesystems;

/// <summary>What a root file system should hold.</summary>
public sealed record RootFilesystemOptions
{
    /// <summary>The Debian suite.</summary>
    public string Suite { get; init; } = "bookworm";

    /// <summary>Packages besides a minimal Debian. With <c>systemd-sysv</c> among them, systemd is its init.</summary>
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

    private static readonly string[] s_packages = ["iproute2", "procps", "kmod", "login", "passwd", "util-linux", "mount"];

    // System V init unless another is asked for: up in a fraction of systemd's time where instructions are dear.
    private const string DefaultInit = "sysvinit-core";
    private const string SystemdInit = "systemd-sysv";

    // Runs after the packages are installed; $1 is the tree.
    private const string SetUpScript =
        """
        set -e
        sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
        echo hearth >"$1/etc/hostname"
        printf '127.0.0.1 localhost hearth\n::1 localhost\n' >"$1/etc/hosts"
        printf 'LABEL=root / ext4 defaults 0 0\n' >"$1/etc/fstab"
        if [ -f "$1/etc/inittab" ]; then
          sed -i 's/^\([1-6]\):/#\1:/' "$1/etc/inittab"
          echo 'T0:23:respawn:/sbin/getty -L ttyS0 115200 vt102' >>"$1/etc/inittab"
        fi
        # What a microVM has no use for at boot: a hardware clock, names for devices that come by other names.
        rm -f "$1"/etc/rc?.d/*hwclock.sh "$1"/etc/udev/rules.d/85-hwclock.rules
        rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/apt "$1"/var/log/*.log
        """;

    private readonly ImageCache _cache;
    private readonly IProgress<ImageProgress> _progress;

    public RootFilesystemBuilder(ImageCache cache, IProgress<ImageProgress> progress)
    {
        _cache = cache;
        _progress = progress;
    }

    /// <summary>Builds, or finds in the cache; returns the cached file's path.</summary>
    /// <exception cref="ImageException">A name is no name, a tool is missing, or a step failed.</exception>
    public async Task<string> BuildAsync(RootFilesystemOptions options, CancellationToken cancellation)
    {
        string[] packages = Packages(options);
        string key = ImageCache.Key(["2", options.Suite, options.SizeMib?.ToString(CultureInfo.InvariantCulture) ?? "auto", SetUpScript, .. packages]);
        return await _cache.GetAsync("rootfs", key, "rootfs.ext4", path => BuildAsync(options, packages, path, cancellation), _progress, cancellation).ConfigureAwait(false);
    }

    /// <summary>What gets installed.</summary>
    /// <exception cref="ImageException">A name or the size is none.</exception>
    internal static string[] Packages(RootFilesystemOptions options)
    {
        foreach (string name in options.Include.Append(options.Suite))
        {
            // An option of mmdebstrap or apt is no package either.
            if (name.Length == 0 || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '+' or '-' or ':' or '=' or '~'))
            {
                throw new ImageException($"\"{name}\" is no name of a Debian package or suite.");
            }
        }

        if (options.SizeMib is < SmallestMib)
        {
            throw new ImageException($"A root file system of {options.SizeMib} MiB is too small. Give --size {SmallestMib} or more, or leave it out.");
        }

        string[] init = options.Include.Contains(SystemdInit) || options.Include.Contains(DefaultInit) ? [] : [DefaultInit];
        return [.. init, .. s_packages, .. options.Include];
    }

    private async Task BuildAsync(RootFilesystemOptions options, string[] packages, string output, CancellationToken cancellation)
    {
        string[] needed = Environment.IsPrivilegedProcess ? ["mmdebstrap", "e2fsprogs", "tar"] : ["mmdebstrap", "e2fsprogs", "tar", "fakeroot", "uidmap"];
        await DebianPackages.InstallMissingAsync(needed, _progress, cancellation).ConfigureAwait(false);
        string work = Path.GetDirectoryName(output)!;
        string archive = Path.Combine(work, "rootfs.tar");
        _progress.Report(new ImageProgress($"Fetching Debian {options.Suite} (some 40 MB)"));
        IReadOnlyList<string> sources = await AptSources.ForSuiteAsync(options.Suite, _progress, cancellation).ConfigureAwait(false);
        await Tool.RunAsync(
            "mmdebstrap",
            [
                "--variant=minbase",
                $"--include={string.Join(',', packages)}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                // As text: in a user namespace the script would be read by one who may not look into our home.
                $"--customize-hook={SetUpScript}",
                options.Suite,
                archive,
                .. sources,
            ],
            cancellation,
            onLine: ReportStep,
            gently: true).ConfigureAwait(false);

        _progress.Report(new ImageProgress("Writing the ext4 image"));
        await WriteImageAsync(archive, options.SizeMib, work, output, cancellation).ConfigureAwait(false);
        _progress.Report(new ImageProgress($"Built the root file system: {new FileInfo(output).Length >> 20} MiB"));
    }

    private void ReportStep(string line)
    {
        if (line.StartsWith("I: ", StringComparison.Ordinal) && line.EndsWith("...", StringComparison.Ordinal))
        {
            _progress.Report(new ImageProgress(char.ToUpperInvariant(line[3]) + line[4..^3]));
        }
    }

    private static async Task WriteImageAsync(string archive, int? sizeMib, string work, string output, CancellationToken cancellation)
    {
        string root = Path.Combine(work, "root");
        Directory.CreateDirectory(root);
        // Device nodes need privileges and are not wanted: the kernel's devtmpfs makes them.
        await RunAsRootAsync("tar", ["-C", root, "-xf", archive, "--exclude=./dev/*"], work, cancellation).ConfigureAwait(false);
        File.Delete(archive);

        string text = await Tool.ReadAsync("du", ["-sm", root], cancellation).ConfigureAwait(false);
        int used = int.Parse(text.Split('\t')[0], CultureInfo.InvariantCulture);
        // The journal and the inode tables take the rest.
        int least = (used * 11 / 10) + 32;
        if (sizeMib < least)
        {
            throw new ImageException($"What is to be in it does not fit into {sizeMib} MiB. Give --size {least} or more, or leave it out.");
        }

        using (FileStream image = File.Create(output))
        {
            // Half as much again, for the guest to work in.
            image.SetLength((long)(sizeMib ?? Math.Max(SmallestMib, (used * 3 / 2) + 64)) << 20);
        }

        await RunAsRootAsync(
            "mke2fs", ["-q", "-F", "-t", "ext4", "-L", "root", "-E", "root_owner=0:0,lazy_itable_init=1", "-d", root, output], work, cancellation).ConfigureAwait(false);
    }

    // Without privileges, fakeroot remembers whose the files are between the two programs.
    private static async Task RunAsRootAsync(string name, string[] arguments, string work, CancellationToken cancellation)
    {
        if (Environment.IsPrivilegedProcess)
        {
            await Tool.RunAsync(name, arguments, cancellation).ConfigureAwait(false);
            return;
        }

        string state = Path.Combine(work, "owners");
        string[] load = File.Exists(state) ? ["-i", state] : [];
        // mke2fs lies in /usr/sbin, which a user's PATH lacks.
        await Tool.RunAsync("fakeroot", [.. load, "-s", state, "--", Tool.Require(name), .. arguments], cancellation).ConfigureAwait(false);
    }
}
