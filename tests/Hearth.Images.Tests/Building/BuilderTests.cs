using System.Diagnostics;
using Hearth.Images.Building;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Registries;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Building;

/// <summary>Images made by a process of their own: the published hearthd, as it starts itself.</summary>
public sealed class BuilderTests : IDisposable
{
    private const uint User = 231_099;

    private static readonly string s_root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));

    private readonly TemporaryFolder _folder = new();
    private readonly ImageBuilderProgram _builder = new(Path.Combine(s_root, "out/bin/hearthd"), User);

    public BuilderTests()
    {
        Assert.SkipUnless(Environment.UserName == "root", "gives up privileges: needs root");
        Assert.True(File.Exists(_builder.Program), "out/bin/hearthd is missing: run ./build hearthd");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_same_bytes_come_of_it_as_in_this_process()
    {
        foreach (string compression in (string[])["none", "gzip", "zstd"])
        {
            var image = new TestImage(compression, [.. TestImage.Small().Blobs.Skip(1).Select(Plain)]);
            image.WriteLayout(_folder[$"layout-{compression}"], "");
            Image own = Assert.Single(await new ImageStore(_folder[$"own-{compression}"]).ImportAsync(_folder[$"layout-{compression}"], Name("app")));
            var told = new List<ImageProgress>();
            Image apart = Assert.Single(await Store($"apart-{compression}").ImportAsync(_folder[$"layout-{compression}"], Name("app"), new Progress(told.Add)));
            Assert.Equal(File.ReadAllBytes(own.RootFilesystem), File.ReadAllBytes(apart.RootFilesystem));
            Assert.Equal(own.Inodes, apart.Inodes);
            Assert.Equal(Directory.GetFiles(own.Folder).Select(Path.GetFileName).Order(), Directory.GetFiles(apart.Folder).Select(Path.GetFileName).Order());
            Assert.All(Directory.GetFiles(own.Folder, "*").Where(static file => !file.EndsWith(".json", StringComparison.Ordinal)), file => Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(apart.Folder, Path.GetFileName(file)))));
            Assert.NotEmpty(told);
        }
    }

    [Fact]
    public async Task What_it_refuses_is_refused_in_its_words_and_nothing_is_left()
    {
        new TestImage("none", [.. new TarBuilder().File("a").Build()[..700], .. new byte[300]]).WriteLayout(_folder["broken"], "");
        ImageException broken = await Assert.ThrowsAsync<ImageException>(() => Store("store").ImportAsync(_folder["broken"], Name("broken")));
        ImageException same = await Assert.ThrowsAsync<ImageException>(() => new ImageStore(_folder["own"]).ImportAsync(_folder["broken"], Name("broken")));
        Assert.Equal((same.Fault, same.Message), (broken.Fault, broken.Message));
        new TestImage("none", new TarBuilder().File("a").File("b").Build()).WriteLayout(_folder["large"], "");
        ImageException large = await Assert.ThrowsAsync<ImageException>(() => new ImageStore(_folder["store"], limits: new ImageLimits { MaxEntries = 1 }, builder: _builder).ImportAsync(_folder["large"], Name("large")));
        Assert.Equal(ImageFault.TooLarge, large.Fault);
        Assert.Empty(Store("store").List());
    }

    [Fact]
    public async Task It_is_nobody_and_has_nothing_and_its_end_is_told()
    {
        BuilderProcess process = _builder.Start(1, new ImageLimits());
        await using (process)
        {
            byte[] layer = new TarBuilder().File("a").Build();
            File.WriteAllBytes(_folder["layer"], layer);
            await process.AddLayerAsync(0, _folder["layer"], Digest.Of(layer), CancellationToken.None);
            string[] status = File.ReadAllLines($"/proc/{process.Pid}/status");
            Assert.Contains($"Uid:\t{User}\t{User}\t{User}\t{User}", status);
            Assert.Contains($"Gid:\t{User}\t{User}\t{User}\t{User}", status);
            Assert.All(status.Where(static line => line.StartsWith("Cap", StringComparison.Ordinal)), static line => Assert.EndsWith("0000000000000000", line, StringComparison.Ordinal));
            Assert.Contains("NoNewPrivs:\t1", status);
            // Every thread of it, the runtime's too.
            Assert.All(Directory.GetDirectories($"/proc/{process.Pid}/task"), static thread => Assert.Contains("Seccomp:\t2", File.ReadAllLines($"{thread}/status")));
            Assert.NotEqual(new FileInfo("/proc/self/ns/net").LinkTarget, new FileInfo($"/proc/{process.Pid}/ns/net").LinkTarget);
            // Standard streams, the channel, the layer: no file of the host but those it was handed.
            string[] open = [.. Directory.GetFiles($"/proc/{process.Pid}/fd").Select(static fd => new FileInfo(fd).LinkTarget ?? "")];
            Assert.All(open.Where(static target => target.StartsWith('/')), target => Assert.True(target is "/dev/null" or "/dev/urandom" || target == _folder["layer"], target));
            using var killed = Process.GetProcessById(process.Pid);
            killed.Kill();
            ImageException end = await Assert.ThrowsAsync<ImageException>(() => process.WriteAsync(Digest.Of(layer), _folder["image"], static _ => { }, CancellationToken.None));
            Assert.Contains("ended without a word", end.Message, StringComparison.Ordinal);
        }
    }

    private static byte[] Plain(byte[] gzip)
    {
        using var plain = new MemoryStream();
        using var stream = new System.IO.Compression.GZipStream(new MemoryStream(gzip), System.IO.Compression.CompressionMode.Decompress);
        stream.CopyTo(plain);
        return plain.ToArray();
    }

    private static ImageReference Name(string name) => ImageReference.Parse($"localhost/{name}:1");

    private ImageStore Store(string name) => new(_folder[name], builder: _builder);

    private sealed class Progress(Action<ImageProgress> told) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value)
        {
            lock (told)
            {
                told(value);
            }
        }
    }
}
