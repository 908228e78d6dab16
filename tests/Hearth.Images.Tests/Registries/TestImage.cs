using System.IO.Compression;
using System.Text;
using Hearth.Images.Oci;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Registries;

/// <summary>An image made for a test: its documents and layers.</summary>
internal sealed class TestImage
{
    public TestImage(params byte[][] archives)
        : this("gzip", archives)
    {
    }

    public TestImage(string compression, params byte[][] archives)
    {
        Layers = [.. archives.Select(archive => Compress(compression, archive))];
        Config = Encoding.UTF8.GetBytes(
            $$"""{"architecture":"amd64","os":"linux","config":{"User":"app","Cmd":["/bin/app"],"Env":["A=b"],"ExposedPorts":{"80/tcp":{ } },"Volumes":null,"Labels":{"k":"v"} },"rootfs":{"type":"layers","diff_ids":[{{string.Join(',', archives.Select(archive => $"\"{Digest.Of(archive)}\""))}}] } }""");
        Manifest = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Describe(Config, MediaTypes.OciConfig)}},"layers":[{{string.Join(',', Layers.Select(layer => Describe(layer, MediaTypes.OciLayer)))}}]}""");
    }

    public byte[][] Layers { get; }

    public byte[] Config { get; }

    public byte[] Manifest { get; }

    public Digest Digest => Digest.Of(Manifest);

    public IEnumerable<byte[]> Blobs => [Config, .. Layers];

    /// <summary>Two layers, with a user file and something hidden.</summary>
    public static TestImage Small() => new(
        new TarBuilder().Folder("etc").File("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:100:101::/home/app:/bin/sh\n").File("etc/group", "root:x:0:\nextra:x:7:app\n").File("gone").Build(),
        new TarBuilder().File(".wh.gone").File("bin/app", "#!/bin/sh\n", 0x1ed).Build());

    public static string Describe(byte[] blob, string type) => $$"""{"mediaType":"{{type}}","digest":"{{Digest.Of(blob)}}","size":{{blob.Length}}}""";

    public static string Index(params (byte[] Manifest, string Platform)[] entries) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{string.Join(',', entries.Select(entry =>
            $$"""{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of(entry.Manifest)}}","size":{{entry.Manifest.Length}},"platform":{"os":"{{entry.Platform.Split('/')[0]}}","architecture":"{{entry.Platform.Split('/')[1]}}" } }"""))}}]}""";

    /// <summary>The files of an OCI layout of this image.</summary>
    /// <param name="annotations">Of its entry in the index: members of a JSON object.</param>
    public IEnumerable<(string Name, byte[] Content)> Layout(string annotations)
    {
        string index = $$"""{"schemaVersion":2,"manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest}}","size":{{Manifest.Length}},"annotations":{ {{annotations}} } }]}""";
        return Blobs.Append(Manifest).Select(blob => ($"blobs/sha256/{Digest.Of(blob).Hex}", blob))
            .Append(("oci-layout", Encoding.ASCII.GetBytes("""{"imageLayoutVersion":"1.0.0"}"""))).Append(("index.json", Encoding.UTF8.GetBytes(index)));
    }

    public void WriteLayout(string folder, string annotations)
    {
        foreach ((string name, byte[] content) in Layout(annotations))
        {
            string path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, content);
        }
    }

    private static byte[] Compress(string compression, byte[] archive)
    {
        var packed = new MemoryStream();
        using (Stream stream = compression switch
        {
            "gzip" => new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            "zstd" => new ZstdSharp.CompressionStream(packed, leaveOpen: true),
            _ => new BufferedStream(packed),
        })
        {
            stream.Write(archive);
            stream.Flush();
            return compression == "none" ? archive : Finish(stream, packed);
        }
    }

    private static byte[] Finish(Stream stream, MemoryStream packed)
    {
        stream.Dispose();
        return packed.ToArray();
    }
}
