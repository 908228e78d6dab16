namespace Hearth.Images.Kernels;

/// <summary>How to build a guest kernel.</summary>
public sealed record KernelBuildOptions
{
    /// <summary>Fragments laid over Hearth's own, in order.</summary>
    public IReadOnlyList<string> Fragments { get; init; } = [];

    /// <summary>For guests of more than one vCPU.</summary>
    public bool Smp { get; init; }
}

/// <summary>
/// Builds an uncompressed guest <c>vmlinux</c> from Debian's <c>linux-source</c> package; minutes the first time, then
/// from the cache, by the hash of source version, options and compiler.
/// </summary>
public sealed class KernelBuilder
{
    // What allnoconfig's kernel compiles, for the progress line; a wrong guess only makes the percentage wrong.
    private const int TypicalObjects = 1250;

    private static readonly string[] s_buildPackages =
        ["gcc", "libc6-dev", "make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "xz-utils", "tar", "binutils", "cpio", "perl"];

    private readonly ImageCache _cache;
    private readonly IProgress<string> _progress;

    public KernelBuilder(ImageCache cache, IProgress<string> progress)
    {
        _cache = cache;
        _progress = progress;
    }

    /// <summary>Builds, or finds in the cache; returns the cached file's path.</summary>
    /// <exception cref="ImageException">A fragment is broken, a tool missing, an option impossible, or the build failed.</exception>
    public async Task<string> BuildAsync(KernelBuildOptions options, CancellationToken cancellation)
    {
        KernelConfig wanted = Configuration(options);
        await DebianPackages.InstallMissingAsync(s_buildPackages, _progress, cancellation).ConfigureAwait(false);
        string source = await DebianPackages.ResolveMetaAsync("linux-source", "linux-source-", cancellation).ConfigureAwait(false);
        string version = await DebianPackages.CandidateVersionAsync(source, cancellation).ConfigureAwait(false);
        string compiler = await Tool.ReadAsync("gcc", ["--version"], cancellation).ConfigureAwait(false);
        string key = ImageCache.Key(source, version, compiler.Split('\n')[0], wanted.ToString());
        return await _cache.GetAsync("kernels", key, "vmlinux", path => BuildAsync(wanted, source, version, path, cancellation)).ConfigureAwait(false);
    }

    /// <summary>Hearth's own options with the user's over them.</summary>
    internal static KernelConfig Configuration(KernelBuildOptions options)
    {
        KernelConfig config = KernelConfig.Parse(EmbeddedFiles.ReadText("kernel/base.config"), "base.config");
        string flavour = options.Smp ? "smp.config" : "up.config";
        config.Merge(KernelConfig.Parse(EmbeddedFiles.ReadText("kernel/" + flavour), flavour));
        foreach (string fragment in options.Fragments)
        {
            try
            {
                config.Merge(KernelConfig.Parse(File.ReadAllText(fragment), fragment));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ImageException($"Cannot read the configuration fragment {fragment}: {e.Message}", e);
            }
        }

        return config;
    }

    private async Task BuildAsync(KernelConfig wanted, string source, string version, string output, CancellationToken cancellation)
    {
        string work = Path.GetDirectoryName(output)!;
        _progress.Report($"Downloading {source} {version} (140 MB)");
        await DebianPackages.FetchAsync(source, work, work, cancellation).ConfigureAwait(false);
        string archive = Path.Combine(work, "usr", "src", source + ".tar.xz");
        _progress.Report("Unpacking the source");
        await Tool.RunAsync("tar", ["-xf", archive, "-C", work], cancellation).ConfigureAwait(false);
        File.Delete(archive);
        string tree = Path.Combine(work, source);

        _progress.Report("Configuring");
        await MakeAsync(tree, ["allnoconfig"], null, cancellation).ConfigureAwait(false);
        string configPath = Path.Combine(tree, ".config");
        await File.AppendAllTextAsync(configPath, wanted.ToString(), cancellation).ConfigureAwait(false);
        await MakeAsync(tree, ["olddefconfig"], null, cancellation).ConfigureAwait(false);
        Check(KernelConfig.Parse(await File.ReadAllTextAsync(configPath, cancellation).ConfigureAwait(false), ".config"), wanted);

        _progress.Report($"Compiling on {Environment.ProcessorCount} CPUs (some minutes)");
        int objects = 0;
        await MakeAsync(
            tree,
            [$"-j{Environment.ProcessorCount}", "vmlinux"],
            line =>
            {
                if (line.StartsWith("  CC", StringComparison.Ordinal) && ++objects % 100 == 0)
                {
                    _progress.Report($"Compiling: {objects} files (about {Math.Min(99, objects * 100 / TypicalObjects)} %)");
                }
            },
            cancellation).ConfigureAwait(false);
        await Tool.RunAsync("strip", ["-o", output, Path.Combine(tree, "vmlinux")], cancellation).ConfigureAwait(false);
        _progress.Report($"Built {source} {version}: {new FileInfo(output).Length >> 20} MiB");
    }

    private void Check(KernelConfig got, KernelConfig wanted)
    {
        List<KernelRequirement> unmet = [.. KernelRequirements.Unmet(got)];
        KernelRequirement[] required = [.. unmet.Where(r => r.Required)];
        if (required.Length > 0)
        {
            throw new ImageException(
                "The configuration lacks what a Hearth guest needs:\n"
                + string.Join('\n', required.Select(r => $"  {r.Option}=y: {r.Reason}")));
        }

        foreach (KernelRequirement recommended in unmet)
        {
            _progress.Report($"Note: without {recommended.Option} there is no {recommended.Reason}");
        }

        foreach ((string option, string value, string actual) in got.Missing(wanted))
        {
            // What this kernel version does not know, or an unmet dependency: said, not fatal.
            _progress.Report($"Note: {option}={value} was asked for, and the kernel's own rules made it {actual}");
        }
    }

    private static Task MakeAsync(string tree, string[] arguments, Action<string>? onLine, CancellationToken cancellation) =>
        // Fixed names and dates: the same sources and options give the same file.
        Tool.RunAsync(
            "make",
            ["KBUILD_BUILD_USER=hearth", "KBUILD_BUILD_HOST=hearth", "KBUILD_BUILD_TIMESTAMP=@0", .. arguments],
            cancellation,
            tree,
            onLine);
}
