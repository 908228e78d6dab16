namespace Hearth.Images.Kernels;

/// <summary>How to build a guest kernel.</summary>
public sealed record KernelBuildOptions
{
    /// <summary>Files of options laid over Hearth's own, in order.</summary>
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
    // The source unpacked, and what is compiled of it.
    private const long NeededBytes = 3L << 30;

    private static readonly string[] s_buildPackages =
        ["gcc", "libc6-dev", "make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "xz-utils", "tar", "binutils", "cpio", "perl"];

    private readonly ImageCache _cache;
    private readonly IProgress<ImageProgress> _progress;

    public KernelBuilder(ImageCache cache, IProgress<ImageProgress> progress)
    {
        _cache = cache;
        _progress = progress;
    }

    /// <summary>Builds, or finds in the cache; returns the cached file's path.</summary>
    /// <exception cref="ImageException">A fragment is broken, a tool missing, an option impossible, or the build failed.</exception>
    public async Task<string> BuildAsync(KernelBuildOptions options, CancellationToken cancellation)
    {
        (KernelConfig wanted, KernelConfig asked) = Configuration(options);
        await DebianPackages.InstallMissingAsync(s_buildPackages, _progress, cancellation).ConfigureAwait(false);
        string source = await DebianPackages.ResolveMetaAsync("linux-source", "linux-source-", _progress, cancellation).ConfigureAwait(false)
            ?? throw new ImageException("Debian's package linux-source names no source package. Run apt-get update.");
        string version = await DebianPackages.CandidateVersionAsync(source, _progress, cancellation).ConfigureAwait(false);
        string compiler = await Tool.ReadAsync("gcc", ["--version"], cancellation).ConfigureAwait(false);
        string key = ImageCache.Key(source, version, compiler.Split('\n')[0], wanted.ToString());
        string log = Path.Combine(_cache.Root, "kernels", key + ".log");
        return await _cache.GetAsync(
            "kernels", key, "vmlinux", path => BuildAsync(wanted, asked, source, version, path, log, cancellation), _progress, cancellation).ConfigureAwait(false);
    }

    /// <summary>Hearth's own options with the user's over them, and the user's alone.</summary>
    internal static (KernelConfig Wanted, KernelConfig Asked) Configuration(KernelBuildOptions options)
    {
        KernelConfig wanted = KernelConfig.Parse(EmbeddedFiles.ReadText("kernel/base.config"), "base.config");
        string flavour = options.Smp ? "smp.config" : "up.config";
        wanted.Merge(KernelConfig.Parse(EmbeddedFiles.ReadText("kernel/" + flavour), flavour));
        var asked = new KernelConfig();
        foreach (string fragment in options.Fragments)
        {
            asked.Merge(KernelConfig.Load(fragment));
        }

        wanted.Merge(asked);
        return (wanted, asked);
    }

    /// <summary>Compares what the kernel's own rules made of the options with what was wanted.</summary>
    /// <returns>What a person should know, and is no reason to stop.</returns>
    /// <exception cref="ImageException">An option the user asked for, or one a guest cannot do without, is not there.</exception>
    internal static IReadOnlyList<string> Check(KernelConfig got, KernelConfig wanted, KernelConfig asked)
    {
        string[] lost = [.. got.Missing(asked).Select(m => $"  {m.Option}={m.Wanted} was asked for, and became {m.Got}")];
        if (lost.Length > 0)
        {
            throw new ImageException(
                "The kernel's own rules do not allow what the --config fragments ask for (an option that does not exist, "
                + "or one it depends on that is off):\n" + string.Join('\n', lost));
        }

        List<KernelRequirement> unmet = [.. KernelRequirements.Unmet(got)];
        string[] required = [.. unmet.Where(r => r.Required).Select(r => $"  {r.Option}=y: {r.Reason}")];
        if (required.Length > 0)
        {
            throw new ImageException("The configuration lacks what a Hearth guest needs:\n" + string.Join('\n', required));
        }

        return
        [
            .. unmet.Select(r => $"Note: without {r.Option}: no {r.Reason}"),
            // Another kernel version than the one these were written for.
            .. got.Missing(wanted).Select(m => $"Note: {m.Option}={m.Wanted} is not to be had in this kernel: it is {m.Got}"),
        ];
    }

    private async Task BuildAsync(
        KernelConfig wanted, KernelConfig asked, string source, string version, string output, string logPath, CancellationToken cancellation)
    {
        string work = Path.GetDirectoryName(output)!;
        RequireSpace(work);
        Report($"Downloading {source} {version} (130 MB)");
        await DebianPackages.FetchAsync(source, work, work, _progress, cancellation).ConfigureAwait(false);
        string archive = Path.Combine(work, "usr", "src", source + ".tar.xz");
        Report("Unpacking the source (1.3 GB)");
        await Tool.RunAsync("tar", ["-xf", archive, "-C", work], cancellation).ConfigureAwait(false);
        File.Delete(archive);
        string tree = Path.Combine(work, source);

        using var log = new StreamWriter(logPath, append: false);
        void Log(string line) => log.WriteLine(line);
        Report("Configuring");
        await MakeAsync(tree, ["allnoconfig"], Log, cancellation).ConfigureAwait(false);
        string configPath = Path.Combine(tree, ".config");
        await File.AppendAllTextAsync(configPath, wanted.ToString(), cancellation).ConfigureAwait(false);
        await MakeAsync(tree, ["olddefconfig"], Log, cancellation).ConfigureAwait(false);
        foreach (string note in Check(KernelConfig.Load(configPath), wanted, asked))
        {
            Report(note);
        }

        var counter = new ObjectCounter(_progress);
        try
        {
            await MakeAsync(
                tree,
                [$"-j{Environment.ProcessorCount}", "vmlinux"],
                line =>
                {
                    log.WriteLine(line);
                    counter.See(line);
                },
                cancellation).ConfigureAwait(false);
        }
        catch (ImageException e)
        {
            throw new ImageException($"{e.Message}\nThe whole log: {logPath}", e);
        }

        await Tool.RunAsync("strip", ["-o", output, Path.Combine(tree, "vmlinux")], cancellation).ConfigureAwait(false);
        Report($"Built Linux {version}: {new FileInfo(output).Length >> 20} MiB from {counter.Objects} files");
    }

    private static void RequireSpace(string folder)
    {
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (free < NeededBytes)
        {
            throw new ImageException(
                $"Building a kernel takes {NeededBytes >> 30} GiB in {folder} and {free >> 20} MiB are free. Make room, or set XDG_CACHE_HOME to a folder with more.");
        }
    }

    private static Task MakeAsync(string tree, string[] arguments, Action<string> onLine, CancellationToken cancellation) =>
        // Fixed names and dates: the same sources and options give the same file.
        Tool.RunAsync(
            "make",
            ["ARCH=x86_64", "KBUILD_BUILD_USER=hearth", "KBUILD_BUILD_HOST=hearth", "KBUILD_BUILD_TIMESTAMP=@0", .. arguments],
            cancellation,
            tree,
            onLine);

    private void Report(string text) => _progress.Report(new ImageProgress(text));

    /// <summary>Turns make's lines into a percentage.</summary>
    private sealed class ObjectCounter(IProgress<ImageProgress> progress)
    {
        // What Hearth's own options compile; a wrong guess only makes the percentage wrong.
        private const int TypicalObjects = 1124;
        private const int ReportEvery = 10;

        public int Objects { get; private set; }

        public void See(string line)
        {
            if (!line.StartsWith("  CC ", StringComparison.Ordinal) && !line.StartsWith("  AS ", StringComparison.Ordinal))
            {
                return;
            }

            Objects++;
            if (Objects == 1 || Objects % ReportEvery == 0)
            {
                progress.Report(new ImageProgress($"Compiling on {Environment.ProcessorCount} CPUs, some minutes", Math.Min(99, Objects * 100 / TypicalObjects)));
            }
        }
    }
}
