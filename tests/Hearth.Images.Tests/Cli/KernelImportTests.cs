using System.IO.Compression;
using System.Text;

namespace Hearth.Images.Tests.Cli;

public sealed class KernelImportTests : IDisposable
{
    private readonly FakeDebian _debian = new();

    public void Dispose() => _debian.Dispose();

    [Fact]
    public void A_kernel_with_its_modules_becomes_a_bootable_pair()
    {
        string modules = Modules();

        (int status, string output, string errors) = _debian.Run("kernel", "import", Kernel(), "--modules", modules, "-o", _debian["out"]);

        Assert.True(status == 0, errors);
        Assert.Equal($"{_debian["out/vmlinuz"]}\n{_debian["out/initrd"]}\n", output);
        Assert.Equal(File.ReadAllBytes(Kernel()), File.ReadAllBytes(_debian["out/vmlinuz"]));
        using var initrd = new StreamReader(new GZipStream(File.OpenRead(_debian["out/initrd"]), CompressionMode.Decompress), Encoding.Latin1);
        string archive = initrd.ReadToEnd();
        Assert.Contains("virtio.ko\nvirtio_mmio.ko\nvirtio_blk.ko\next4.ko\n", archive, StringComparison.Ordinal);
        Assert.Contains("bytes of virtio_blk", archive, StringComparison.Ordinal);
        Assert.Contains("box\n", archive, StringComparison.Ordinal);
    }

    [Fact]
    public void Compressed_modules_of_the_host_stay_as_they_are()
    {
        string modules = Modules();
        string[] before = Directory.GetFiles(modules);

        _debian.Run("kernel", "import", Kernel(), "--modules", modules, "-o", _debian["out"]);

        Assert.Equal(before, Directory.GetFiles(modules));
    }

    [Fact]
    public void A_kernel_without_virtio_is_refused()
    {
        string modules = Modules();
        File.WriteAllText(Path.Combine(modules, "modules.dep"), "virtio.ko:\next4.ko:\n");

        (int status, _, string errors) = _debian.Run("kernel", "import", Kernel(), "--modules", modules, "-o", _debian["out"]);

        Assert.Equal(1, status);
        Assert.Contains("no virtio_mmio", errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_debian["out"]));
    }

    [Theory]
    [InlineData("short")]
    [InlineData("no-magic")]
    public void What_is_no_kernel_is_refused(string kind)
    {
        string file = _debian[kind];
        File.WriteAllBytes(file, new byte[kind == "short" ? 100 : 4096]);

        (int status, _, string errors) = _debian.Run("kernel", "import", file, "--modules", Modules(), "-o", _debian["out"]);

        Assert.Equal(1, status);
        Assert.Contains($"{file} is no x86 Linux kernel", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_modules_it_says_how_to_give_them()
    {
        (int status, _, string errors) = _debian.Run("kernel", "import", Kernel(), "-o", _debian["out"]);

        Assert.Equal(1, status);
        Assert.Contains("--modules FOLDER", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nowhere.deb")]
    [InlineData("/nowhere/vmlinuz")]
    public void A_file_that_is_not_there_is_named(string file)
    {
        (int status, _, string errors) = _debian.Run("kernel", "import", file, "-o", _debian["out"]);

        Assert.Equal(1, status);
        Assert.Contains($"There is no file {file}", errors, StringComparison.Ordinal);
    }

    private string Kernel()
    {
        byte[] head = new byte[1024];
        head[0x1fe] = 0x55;
        head[0x1ff] = 0xaa;
        "HdrS"u8.CopyTo(head.AsSpan(0x202));
        File.WriteAllBytes(_debian["vmlinuz"], head);
        return _debian["vmlinuz"];
    }

    private string Modules()
    {
        _debian.Write("modules/modules.dep", "virtio_blk.ko.gz: virtio.ko\nvirtio_mmio.ko: virtio.ko\nvirtio.ko:\next4.ko:\n");
        foreach (string name in new[] { "virtio", "virtio_mmio", "ext4" })
        {
            _debian.Write($"modules/{name}.ko", "bytes of " + name);
        }

        using var compressed = new GZipStream(File.Create(_debian["modules/virtio_blk.ko.gz"]), CompressionLevel.Fastest);
        compressed.Write("bytes of virtio_blk"u8);
        return _debian["modules"];
    }
}
