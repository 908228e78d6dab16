using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Hearth.Images.Initrds;

namespace Hearth.Images.Kernels;

/// <summary>A kernel and the initrd that gets it to its root drive.</summary>
public sealed record BootablePair(string Kernel, string Initrd);

/// <summary>
/// Makes a stock distribution kernel bootable under Hearth: the kernel as it is, and an initrd with its virtio modules.
/// </summary>
public sealed class KernelImporter
{
    // What a microVM's devices and root file systems need, where it is not built in; each brings what it depends on.
    private static readonly string[] s_modules =
    [
        "virtio", "virtio_ring", "virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon",
        "virtio_mem", "virtio_pmem", "vmw_vsock_virtio_transport", "virtiofs", "overlay", "ext4", "squashfs", "erofs",
        "i8042", "atkbd", "vmgenid",
    ];

    private static readonly string[] s_required = ["virtio_mmio", "virtio_blk", "ext4"];

    private readonly IProgress<ImageProgress> _progress;
    private readonly InitrdBuilder _initrds;

    public KernelImporter(ImageCache cache, IProgress<ImageProgress> progress)
    {
        _progress = progress;
        _initrds = new InitrdBuilder(cache, progress);
    }

    /// <summary>Writes <c>vmlinuz</c> and <c>initrd</c> into <paramref name="outputFolder"/>.</summary>
    /// <param name="source">
    /// A Debian kernel package (a <c>.deb</c>, or the name of one that apt knows), or a <c>vmlinuz</c>.
    /// </param>
    /// <param name="modulesFolder">With a <c>vmlinuz</c>: its version's folder under <c>lib/modules</c>.</param>
    /// <param name="outputFolder">Made if it is not there.</param>
    /// <param name="cancellation">Stops, and leaves nothing half-made.</param>
    /// <exception cref="ImageException">The kernel cannot run under Hearth, or a step failed.</exception>
    public async Task<BootablePair> ImportAsync(string source, string? modulesFolder, string outputFolder, CancellationToken cancellation)
    {
        if (File.Exists(outputFolder))
        {
            throw new ImageException($"{outputFolder} is a file. Give the folder for vmlinuz and initrd (-o FOLDER).");
        }

        string work = Directory.CreateTempSubdirectory("hearth-kernel-").FullName;
        try
        {
            source = await FindAsync(source, work, cancellation).ConfigureAwait(false);
            string kernel = source;
            if (source.EndsWith(".deb", StringComparison.Ordinal))
            {
                _progress.Report(new ImageProgress($"Unpacking {Path.GetFileName(source)}"));
                string tree = Path.Combine(work, "tree");
                await DebianPackages.UnpackAsync(source, tree, cancellation).ConfigureAwait(false);
                kernel = Single(Path.Combine(tree, "boot"), source);
                modulesFolder = await IndexModulesAsync(tree, source, cancellation).ConfigureAwait(false);
            }

            RequireKernel(kernel);
            if (modulesFolder is null)
            {
                throw new ImageException($"{source} comes without modules. Say where they are: --modules FOLDER (such as /lib/modules/VERSION).");
            }

            string initrd = Path.Combine(work, "initrd");
            await WriteInitrdAsync(initrd, modulesFolder, cancellation).ConfigureAwait(false);
            var pair = new BootablePair(Path.Combine(outputFolder, "vmlinuz"), Path.Combine(outputFolder, "initrd"));
            await ImageCache.PublishAsync(initrd, pair.Initrd, cancellation).ConfigureAwait(false);
            await ImageCache.PublishAsync(kernel, pair.Kernel, cancellation).ConfigureAwait(false);
            return pair;
        }
        finally
        {
            await ImageCache.DeleteFolderAsync(work).ConfigureAwait(false);
        }
    }

    private async Task<string> FindAsync(string source, string work, CancellationToken cancellation)
    {
        if (File.Exists(source))
        {
            return source;
        }

        if (!source.StartsWith("linux-image-", StringComparison.Ordinal) || source.Contains('/', StringComparison.Ordinal) || source.EndsWith(".deb", StringComparison.Ordinal))
        {
            throw new ImageException($"There is no file {source}. Give a kernel package (.deb), the name of one (linux-image-cloud-amd64), or a vmlinuz.");
        }

        string package = await DebianPackages.ResolveMetaAsync(source, "linux-image-", _progress, cancellation).ConfigureAwait(false) ?? source;
        _progress.Report(new ImageProgress($"Downloading {package}"));
        return await DebianPackages.DownloadAsync(package, work, _progress, cancellation).ConfigureAwait(false);
    }

    // A package's modules.dep is made when it is installed; this one is not.
    private async Task<string> IndexModulesAsync(string tree, string source, CancellationToken cancellation)
    {
        // Older suites ship lib/modules, newer ones usr/lib/modules; which one depmod looks at is the host's suite's choice.
        Link(Path.Combine(tree, "lib"), "usr/lib");
        Link(Path.Combine(tree, "usr", "lib"), "../lib");
        string modules = Path.Combine(tree, "lib", "modules");
        string[] versions = Directory.Exists(modules) ? Directory.GetDirectories(modules) : [];
        if (versions.Length != 1)
        {
            throw new ImageException($"{source} holds the modules of {versions.Length} kernels and should hold one's: is it a linux-image package (not -dbg, not the meta-package)?");
        }

        await DebianPackages.InstallMissingAsync(["kmod"], _progress, cancellation).ConfigureAwait(false);
        await Tool.RunAsync("depmod", ["-b", tree, Path.GetFileName(versions[0])], cancellation).ConfigureAwait(false);
        return versions[0];
    }

    private static void Link(string path, string target)
    {
        if (!Path.Exists(path) && new DirectoryInfo(path).LinkTarget is null && Directory.Exists(Path.GetDirectoryName(path)))
        {
            File.CreateSymbolicLink(path, target);
        }
    }

    private static string Single(string folder, string source)
    {
        string[] found = Directory.Exists(folder) ? Directory.GetFiles(folder, "vmlinuz-*") : [];
        return found.Length == 1 && new FileInfo(found[0]).LinkTarget is null
            ? found[0]
            : throw new ImageException($"{source} holds {found.Length} kernels and should hold one: is it a linux-image package?");
    }

    // Linux Documentation/x86/boot.rst: the boot sector's flag at 0x1fe, the header's magic at 0x202.
    private static void RequireKernel(string path)
    {
        Span<byte> head = stackalloc byte[0x206];
        try
        {
            using FileStream file = File.OpenRead(path);
            if (file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) == head.Length
                && BinaryPrimitives.ReadUInt16LittleEndian(head[0x1fe..]) == 0xaa55
                && head[0x202..].SequenceEqual("HdrS"u8))
            {
                return;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot read {path}: {e.Message}", e);
        }

        throw new ImageException($"{path} is no x86 Linux kernel (bzImage): its header lacks the boot magic. Is it of another architecture, or truncated?");
    }

    private async Task WriteInitrdAsync(string path, string modulesFolder, CancellationToken cancellation)
    {
        ModuleSet modules = ModuleSet.Load(modulesFolder);
        foreach (string needed in s_required)
        {
            if (!modules.Has(needed))
            {
                throw new ImageException($"This kernel has no {needed}, built in or as a module: it cannot run under Hearth. Use linux-image-cloud-amd64 or linux-image-amd64.");
            }
        }

        IReadOnlyList<string> files = modules.Resolve(s_modules);
        string busybox = await _initrds.BusyboxAsync(cancellation).ConfigureAwait(false);
        _progress.Report(new ImageProgress($"Writing the initrd with {files.Count} modules"));
        using var compressed = new GZipStream(File.Create(path), CompressionLevel.Optimal);
        using var archive = new CpioWriter(compressed);
        archive.AddFile("init", EmbeddedFiles.Read("initrd/init"), 0x1ed);
        archive.AddFile("bin/busybox", await File.ReadAllBytesAsync(busybox, cancellation).ConfigureAwait(false), 0x1ed);
        archive.AddLink("bin/sh", "busybox");
        archive.AddFolder("dev");
        var order = new StringBuilder();
        foreach (string relative in files)
        {
            string name = Path.GetFileName(relative);
            name = name[..(name.IndexOf(".ko", StringComparison.Ordinal) + ".ko".Length)];
            archive.AddFile("modules/" + name, await ReadModuleAsync(modules.FullPath(relative), cancellation).ConfigureAwait(false), 0x1a4);
            order.Append(name).Append('\n');
        }

        archive.AddFile("modules/order", Encoding.ASCII.GetBytes(order.ToString()), 0x1a4);
    }

    // Newer suites compress modules, which the initrd's insmod does not understand.
    private static async Task<byte[]> ReadModuleAsync(string path, CancellationToken cancellation)
    {
        string? tool = Path.GetExtension(path) switch
        {
            ".ko" => null,
            ".xz" => "xz",
            ".zst" => "zstd",
            ".gz" => "gzip",
            string other => throw new ImageException($"The module {path} is compressed in a way that is not known here ({other})."),
        };
        if (tool is not null)
        {
            return await Tool.ReadBytesAsync(tool, ["-d", "-c", "-q", path], cancellation).ConfigureAwait(false);
        }

        try
        {
            return await File.ReadAllBytesAsync(path, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot read the module {path}: {e.Message}", e);
        }
    }
}
