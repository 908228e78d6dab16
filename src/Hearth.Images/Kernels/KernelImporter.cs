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
    // What a microVM's devices and root file system need, where it is not built in.
    private static readonly string[] s_modules =
    [
        "virtio", "virtio_ring", "virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng", "vmw_vsock_virtio_transport",
        "virtiofs", "overlay", "ext4", "squashfs", "erofs", "atkbd", "i8042",
    ];

    private readonly IProgress<string> _progress;

    public KernelImporter(IProgress<string> progress) => _progress = progress;

    /// <summary>Writes <c>vmlinuz</c> and <c>initrd</c> into <paramref name="outputFolder"/>.</summary>
    /// <param name="source">A Debian kernel package (<c>.deb</c>), or a <c>vmlinuz</c>.</param>
    /// <param name="modulesFolder">With a <c>vmlinuz</c>: its version's folder under <c>lib/modules</c>.</param>
    /// <param name="outputFolder">Made if it is not there.</param>
    /// <param name="cancellation">Stops, and leaves nothing half-made.</param>
    public async Task<BootablePair> ImportAsync(string source, string? modulesFolder, string outputFolder, CancellationToken cancellation)
    {
        if (!File.Exists(source))
        {
            throw new ImageException($"There is no file {source}. Give a kernel package (apt-get download linux-image-cloud-amd64's dependency) or a vmlinuz.");
        }

        string work = Directory.CreateTempSubdirectory("hearth-kernel-").FullName;
        try
        {
            string kernel = source;
            if (source.EndsWith(".deb", StringComparison.Ordinal))
            {
                _progress.Report($"Unpacking {Path.GetFileName(source)}");
                string tree = Path.Combine(work, "tree");
                await DebianPackages.UnpackAsync(source, tree, cancellation).ConfigureAwait(false);
                kernel = Single(Path.Combine(tree, "boot"), "vmlinuz-*", source);
                modulesFolder = await IndexModulesAsync(tree, source, cancellation).ConfigureAwait(false);
            }

            if (modulesFolder is null)
            {
                throw new ImageException($"{source} comes without modules. Say where they are: --modules FOLDER (such as /lib/modules/VERSION).");
            }

            string initrd = Path.Combine(work, "initrd");
            await WriteInitrdAsync(initrd, modulesFolder, work, cancellation).ConfigureAwait(false);
            var pair = new BootablePair(Path.Combine(outputFolder, "vmlinuz"), Path.Combine(outputFolder, "initrd"));
            await ImageCache.PublishAsync(initrd, pair.Initrd, cancellation).ConfigureAwait(false);
            await ImageCache.PublishAsync(kernel, pair.Kernel, cancellation).ConfigureAwait(false);
            return pair;
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    // A package's modules.dep is made when it is installed; this one is not.
    private static async Task<string> IndexModulesAsync(string tree, string source, CancellationToken cancellation)
    {
        string modules = Path.Combine(tree, "lib", "modules");
        if (!Directory.Exists(modules))
        {
            modules = Path.Combine(tree, "usr", "lib", "modules");
        }

        string folder = Directory.Exists(modules) ? Directory.EnumerateDirectories(modules).FirstOrDefault() ?? string.Empty : string.Empty;
        if (folder.Length == 0)
        {
            throw new ImageException($"{source} holds no kernel modules: is it a linux-image package (not -dbg, not the meta-package)?");
        }

        string root = modules.Contains("/usr/lib/", StringComparison.Ordinal) ? Path.Combine(tree, "usr") : tree;
        await Tool.RunAsync("depmod", ["-b", root, Path.GetFileName(folder)], cancellation).ConfigureAwait(false);
        return folder;
    }

    private static string Single(string folder, string pattern, string source)
    {
        string[] found = Directory.Exists(folder) ? Directory.GetFiles(folder, pattern) : [];
        return found.Length == 1
            ? found[0]
            : throw new ImageException($"{source} holds {found.Length} kernels and should hold one: is it a linux-image package?");
    }

    private async Task WriteInitrdAsync(string path, string modulesFolder, string work, CancellationToken cancellation)
    {
        ModuleSet modules = ModuleSet.Load(modulesFolder);
        foreach (string needed in new[] { "virtio_mmio", "virtio_blk" })
        {
            if (!modules.Has(needed))
            {
                throw new ImageException($"This kernel has no {needed}, built in or as a module: it cannot run under Hearth. Use linux-image-cloud-amd64 or linux-image-amd64.");
            }
        }

        IReadOnlyList<string> files = modules.Resolve(s_modules);
        byte[] busybox = await ReadBusyboxAsync(work, cancellation).ConfigureAwait(false);
        _progress.Report($"Writing the initrd with {files.Count} modules");
        using FileStream file = File.Create(path);
        using var compressed = new GZipStream(file, CompressionLevel.Optimal);
        using var archive = new CpioWriter(compressed);
        archive.AddFile("init", EmbeddedFiles.Read("initrd/init"), 0x1ed);
        archive.AddFile("bin/busybox", busybox, 0x1ed);
        var order = new StringBuilder();
        foreach (string relative in files)
        {
            byte[] module = await ReadModuleAsync(modules.FullPath(relative), cancellation).ConfigureAwait(false);
            string name = Path.GetFileNameWithoutExtension(relative.EndsWith(".ko", StringComparison.Ordinal) ? relative : Path.GetFileNameWithoutExtension(relative)) + ".ko";
            archive.AddFile("modules/" + name, module, 0x1a4);
            order.Append(name).Append('\n');
        }

        archive.AddFile("modules/order", Encoding.ASCII.GetBytes(order.ToString()), 0x1a4);
    }

    private static async Task<byte[]> ReadBusyboxAsync(string work, CancellationToken cancellation)
    {
        string tree = Path.Combine(work, "busybox");
        await DebianPackages.FetchAsync("busybox-static", work, tree, cancellation).ConfigureAwait(false);
        string path = new[] { "bin/busybox", "usr/bin/busybox" }.Select(p => Path.Combine(tree, p)).FirstOrDefault(File.Exists)
            ?? throw new ImageException("The package busybox-static holds no busybox.");
        return await File.ReadAllBytesAsync(path, cancellation).ConfigureAwait(false);
    }

    // Newer suites compress modules, which the initrd's insmod does not understand.
    private static async Task<byte[]> ReadModuleAsync(string path, CancellationToken cancellation)
    {
        string? tool = Path.GetExtension(path) switch
        {
            ".ko" => null,
            ".xz" => "xz",
            ".zst" => "zstd",
            string other => throw new ImageException($"The module {path} is compressed in a way that is not known here ({other})."),
        };
        if (tool is not null)
        {
            await Tool.RunAsync(tool, ["-d", "-q", "-f", path], cancellation).ConfigureAwait(false);
            path = path[..path.LastIndexOf('.')];
        }

        return await File.ReadAllBytesAsync(path, cancellation).ConfigureAwait(false);
    }
}
