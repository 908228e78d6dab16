using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Registries;

namespace Hearth.Images.Tests.Store;

/// <summary>A real registry, layers that GNU tar made, and the kernel's mount beside what umoci unpacks.</summary>
public sealed class PeerTests : IDisposable
{
    private const string Tag = "\"org.opencontainers.image.ref.name\":\"x\"";

    // Everything that a container could see of a file. Of folders no layer tells of, umoci makes up the time.
    private const string Look =
        """
        cd "$1" && find . -mindepth 1 | LC_ALL=C sort | while read -r f; do
          stat -c '%n %f %u %g %t %T %h' "$f"
          [ -d "$f" ] || stat -c '%Y %s %N' "$f"
          [ ! -f "$f" ] || [ -L "$f" ] || sha256sum < "$f"
          getfattr -h -d -m - -e hex "$f" 2>/dev/null | tail -n +2
        done
        """;

    // Long names, odd bytes, links, devices, sparse files, capabilities, ACL-like modes; then a layer that takes some away.
    private const string MakeLayers =
        """
        set -e
        mkdir -p "$1/a/etc" "$1/a/deep/er" "$1/a/usr/bin" "$1/b/deep" "$1/b/usr/bin" "$1/b/opaque" "$1/a/opaque"
        cd "$1/a"
        echo app:x:100:101::/:/bin/sh > etc/passwd
        long=$(printf 'n%.0s' $(seq 200))
        head -c 5000 /dev/urandom > "deep/$long"
        head -c 4096 /dev/urandom > block; head -c 1000000 /dev/urandom > big; : > empty; echo x > "$(printf 'odd\377name')"
        ln big biglink; ln -s ../../etc/passwd deep/sym; ln -s "$long/$long" deep/longsym
        truncate -s 3M sparse; printf end | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
        echo hidden > opaque/hidden; echo gone > deep/gone; echo two > deep/er/two
        install -m 4755 /bin/true usr/bin/setuid; install /bin/true usr/bin/capable; setcap cap_net_raw+ep usr/bin/capable
        setfattr -n user.color -v blue big; chmod 1777 deep/er; chown 12345:54321 empty
        mknod dev-c c 1 3; mknod dev-b b 259 300; mkfifo pipe; touch -d '1969-12-31 23:59:50 UTC' old; touch -d @1700000000.123456789 fine
        cd "$1/b"
        : > deep/.wh.gone; : > opaque/.wh..wh..opq; echo new > opaque/new; echo over > block; ln block usr/bin/blocklink
        cd "$1"
        tar --format="$2" --sparse --xattrs --xattrs-include='*' -C a -cf a.tar .
        tar --format="$2" -C b -cf b.tar deep opaque block usr
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        // The BCL cannot name the file whose name is no UTF-8.
        Command.Must("rm", "-rf", _folder["layers"], _folder["bundle"]);
        _folder.Dispose();
    }

    [Fact]
    public async Task The_kernel_shows_what_umoci_unpacks()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "devices and mounting need root");
        Command.Must("bash", "-c", MakeLayers, "make", _folder["layers"], "pax");
        // umoci 0.4.7 reads some gzip streams wrongly; on its way to the registry skopeo compresses the layers.
        TestImage made = new("none", File.ReadAllBytes(_folder["layers/a.tar"]), File.ReadAllBytes(_folder["layers/b.tar"]));
        made.WriteLayout(_folder["layout"], Tag);
        using var registry = new DockerRegistry(_folder);
        Command.Must("skopeo", "copy", "-q", "--dest-tls-verify=false", $"oci:{_folder["layout"]}:x", $"docker://{registry.Host}/team/app:1");

        Image image = await new ImageStore(_folder["store"]).PullAsync(ImageReference.Parse($"{registry.Host}/team/app:1"));

        Command.Must("umoci", "unpack", "--image", $"{_folder["layout"]}:x", _folder["bundle"]);
        Directory.CreateDirectory(_folder["mount"]);
        Command.Must("mount", "-t", "erofs", "-o", "ro,loop", image.RootFilesystem, _folder["mount"]);
        try
        {
            string expected = Command.Must("bash", "-c", Look, "look", _folder["bundle/rootfs"]);
            Assert.Contains("security.capability", expected, StringComparison.Ordinal);
            Assert.Equal(expected, Command.Must("bash", "-c", Look, "look", _folder["mount"]));
        }
        finally
        {
            Command.Must("umount", _folder["mount"]);
        }
    }

    [Theory]
    [InlineData("gnu")]
    [InlineData("pax")]
    public async Task Both_formats_of_gnu_tar_make_the_same_image_but_for_what_only_one_can_say(string format)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "devices need root");
        Command.Must("bash", "-c", MakeLayers, "make", _folder["layers"], format);
        new TestImage(File.ReadAllBytes(_folder["layers/a.tar"]), File.ReadAllBytes(_folder["layers/b.tar"])).WriteLayout(_folder["layout"], Tag);

        Image image = Assert.Single(await new ImageStore(_folder["store"]).ImportAsync(_folder["layout"]));

        Dictionary<string, Erofs.ErofsEntry> files = new Erofs.ErofsReader(File.ReadAllBytes(image.RootFilesystem)).List().ToDictionary(file => file.Path);
        Assert.Equal("over\n"u8, files["/block"].Content);
        Assert.Equal("/opaque/new", Assert.Single(files.Keys, path => path.StartsWith("/opaque/", StringComparison.Ordinal)));
        Assert.Equal(-10, files["/old"].Mtime);
        Assert.Equal(3 << 20, files["/sparse"].Content.Length);
        Assert.Equal("end"u8, files["/sparse"].Content.AsSpan(2_000_000, 3));
        Assert.Contains("/odd\u00ffname", files.Keys);
        Assert.Equal(File.ReadAllBytes(_folder["layers/a/big"]), files["/big"].Content);
    }
}
