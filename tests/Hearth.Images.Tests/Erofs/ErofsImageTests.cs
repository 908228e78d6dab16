using System.Text;
using CsCheck;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Tests.Layers;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Erofs;

public sealed class ErofsImageTests
{
    private static readonly Digest s_identity = Digest.Of("test"u8);

    [Fact]
    public void Everything_of_a_tree_is_read_again()
    {
        Inode root = LayerTests.Merge(new TarBuilder()
            .Folder("d", 0x3ff)
            .Pax(("SCHILY.xattr.user.name", "value"), ("SCHILY.xattr.security.capability", "\u0001\0\u0002"), ("mtime", "12.5"), ("uid", "100000"))
            .Entry("d/file", '0', mode: 0x9ed)
            .Link("d/link", "d/file")
            .Symlink("d/sym", "some/where")
            .Entry("d/dev", '4', major: 259, minor: 70_000, mode: 0x180));

        using ErofsFile image = ErofsFile.Write(root, s_identity);
        Dictionary<string, ErofsEntry> found = image.Reader.List().ToDictionary(entry => entry.Path);

        Assert.Equal(["", "/d", "/d/dev", "/d/file", "/d/link", "/d/sym"], found.Keys.Order(StringComparer.Ordinal));
        ErofsEntry file = found["/d/file"];
        Assert.Equal((0x89ed, 100000u, 2u, 12), (file.Mode, file.Uid, file.Links, file.Mtime));
        Assert.Equal(file.Nid, found["/d/link"].Nid);
        Assert.Equal("value"u8, file.Xattrs["user.name"]);
        Assert.Equal([1, 0, 2], file.Xattrs["security.capability"]);
        Assert.Equal("some/where", Encoding.ASCII.GetString(found["/d/sym"].Content));
        Assert.Equal((0x6180, 0x11110370u), (found["/d/dev"].Mode, found["/d/dev"].Device));
        Assert.Equal((0x43ff, 2u), (found["/d"].Mode, found["/d"].Links));
        Assert.Equal(3u, found[""].Links);
    }

    [Fact]
    public void Trees_of_any_shape_are_read_again()
    {
        Gen<string> name = Gen.Char['!', '~'].Where(c => c != '/').Array[1, 200].Select(chars => "f" + new string(chars));
        Gen.Select(name, Gen.Int[0, 200], Gen.Int[0, 5000]).Array[1, 60].Sample(
            drawn =>
            {
                var archive = new TarBuilder();
                foreach ((string file, int xattr, int target) in drawn)
                {
                    archive.Pax(("path", "d/" + file), ("linkpath", new string('t', Math.Clamp(target, 1, 4095))), ("SCHILY.xattr.user.x", new string('v', xattr * 20))).Symlink("s", "t");
                }

                Inode root = LayerTests.Merge(archive);
                using ErofsFile image = ErofsFile.Write(root, s_identity);
                List<ErofsEntry> found = image.Reader.List();

                Assert.Equal(LayerTests.Paths(root), found.Select(entry => entry.Path).Where(path => path.Length > 0).Order(StringComparer.Ordinal));
                foreach (ErofsEntry entry in found.Where(entry => entry.Path.StartsWith("/d/", StringComparison.Ordinal)))
                {
                    Inode inode = root.Children!["d"].Children![entry.Path[3..]];
                    Assert.Equal(inode.LinkTarget.Length, entry.Content.Length);
                    Assert.Equal(inode.Xattrs.Single().Value, entry.Xattrs["user.x"]);
                }
            },
            iter: 40);
    }

    [Fact]
    public void The_kernels_own_checker_finds_no_fault()
    {
        var archive = new TarBuilder();
        for (int i = 0; i < 3000; i++)
        {
            archive.Pax(("SCHILY.xattr.user.n", $"{i}")).Symlink($"dir{i % 7}/link-with-a-longer-name-{i}", $"target-{i}");
        }

        using ErofsFile image = ErofsFile.Write(LayerTests.Merge(archive), s_identity);

        Assert.DoesNotContain("<E>", Command.Must("fsck.erofs", image.Path), StringComparison.Ordinal);
        byte[] bytes = File.ReadAllBytes(image.Path);
        bytes[1024 + 64] ^= 1;
        File.WriteAllBytes(image.Path, bytes);
        Assert.Contains("checksum", Command.Run("fsck.erofs", image.Path).Output, StringComparison.Ordinal);
    }
}
