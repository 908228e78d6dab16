using System.IO.Compression;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Registries;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Archives;

public sealed class ImportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestImage _image = TestImage.Small();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_oci_layout_is_imported_under_its_tag()
    {
        _image.WriteLayout(_folder["layout"], "\"org.opencontainers.image.ref.name\":\"1.0\"");

        Image image = Assert.Single(await ImportAsync("layout"));

        Assert.Equal((_image.Digest, "localhost/layout:1.0"), (image.Manifest, image.Tags.Single()));
    }

    [Fact]
    public async Task An_oci_archive_is_imported_under_its_full_name()
    {
        WriteArchive("a.tar", OciArchive("\"io.containerd.image.name\":\"quay.io/team/app:2\",\"org.opencontainers.image.ref.name\":\"2\""));

        Assert.Equal("quay.io/team/app:2", Assert.Single(await ImportAsync("a.tar")).Tags.Single());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_docker_archive_is_imported_with_links_between_its_layers_and_compressed(bool compressed)
    {
        byte[] layer = new TarBuilder().File("file", "content").Build();
        var image = new TestImage("none", layer, layer);
        TarBuilder archive = new TarBuilder()
            .Entry("config.json", '0', image.Config)
            .Entry("one/layer.tar", '0', layer)
            .Symlink("two/layer.tar", "../one/layer.tar")
            .File("manifest.json", """[{"Config":"config.json","RepoTags":["team/app:1"],"Layers":["one/layer.tar","two/layer.tar"]}]""");
        WriteArchive("d.tar", archive, compressed);

        Image imported = Assert.Single(await ImportAsync("d.tar"));

        Assert.Equal("docker.io/team/app:1", imported.Tags.Single());
        Assert.Equal(Digest.Of(image.Config), imported.Id);
        Assert.Empty(Directory.GetFiles(_folder["store/ingest"], "*.spool"));
    }

    [Theory]
    [InlineData("docker-archive")]
    [InlineData("oci-archive")]
    [InlineData("oci")]
    public async Task What_skopeo_writes_is_imported(string transport)
    {
        _image.WriteLayout(_folder["layout"], "\"org.opencontainers.image.ref.name\":\"x\"");
        string output = _folder["skopeo.out"];
        Command.Must("skopeo", "copy", "-q", $"oci:{_folder["layout"]}:x", $"{transport}:{output}:team/app:3");

        Image image = Assert.Single(await ImportAsync("skopeo.out", transport == "oci" ? "team/app:3" : null));

        Assert.Equal(Digest.Of(_image.Config), image.Id);
        Assert.Equal("docker.io/team/app:3", image.Tags.Single());
    }

    [Fact]
    public async Task Content_that_is_missing_or_other_than_its_digest_is_refused()
    {
        _image.WriteLayout(_folder["layout"], "");
        string layer = _folder[$"layout/blobs/sha256/{Digest.Of(_image.Layers[1]).Hex}"];
        File.WriteAllBytes(layer, [.. _image.Layers[0][..^1], .. new byte[_image.Layers[1].Length]]);
        await RefusedAsync("layout", ImageFault.BadContent, "larger than");
        File.Delete(layer);
        await RefusedAsync("layout", ImageFault.NotFound, "does not have sha256:");
        File.WriteAllText(_folder[$"layout/blobs/sha256/{_image.Digest.Hex}"], "{}");
        await RefusedAsync("layout", ImageFault.BadContent, "other bytes");
        Assert.Empty(new ImageStore(_folder["store"]).List());
    }

    [Fact]
    public async Task Archives_that_are_none_are_refused_by_their_names()
    {
        _folder.Write("text", "not an archive, but long enough to have a header of five hundred bytes" + new string('.', 600));
        await RefusedAsync("text", ImageFault.BadContent, "archive cannot be read");
        WriteArchive("empty.tar", new TarBuilder().File("x"));
        await RefusedAsync("empty.tar", ImageFault.BadContent, "neither an OCI archive");
        await RefusedAsync("nothing", ImageFault.Other, "Cannot read");
        Directory.CreateDirectory(_folder["folder"]);
        await RefusedAsync("folder", ImageFault.NotFound, "no OCI layout");
    }

    [Theory]
    [InlineData("../../../../etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("link")]
    [InlineData("loop")]
    public async Task A_docker_archive_cannot_point_out_of_itself(string layer)
    {
        WriteArchive("d.tar", new TarBuilder()
            .Entry("c", '0', _image.Config)
            .Symlink("link", "/etc/passwd")
            .Symlink("loop", "loop")
            .File("manifest.json", $$"""[{"Config":"c","RepoTags":["a:1"],"Layers":["{{layer}}"]}]"""));

        await RefusedAsync("d.tar", ImageFault.BadContent, "does not have");
    }

    private Task<IReadOnlyList<Image>> ImportAsync(string name, string? called = null) =>
        new ImageStore(_folder["store"]).ImportAsync(_folder[name], called is null ? null : ImageReference.Parse(called));

    private async Task RefusedAsync(string name, ImageFault fault, string why)
    {
        ImageException refusal = await Assert.ThrowsAsync<ImageException>(() => ImportAsync(name));
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(fault, refusal.Fault);
    }

    private TarBuilder OciArchive(string annotations)
    {
        var archive = new TarBuilder();
        foreach ((string name, byte[] content) in _image.Layout(annotations))
        {
            archive.Entry("./" + name, '0', content);
        }

        return archive;
    }

    private void WriteArchive(string name, TarBuilder archive, bool compressed = false)
    {
        using Stream file = compressed ? new GZipStream(File.Create(_folder[name]), CompressionLevel.Fastest) : File.Create(_folder[name]);
        file.Write(archive.Build());
    }
}
