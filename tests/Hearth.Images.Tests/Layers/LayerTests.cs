using Hearth.Images.Layers;
using Hearth.Images.Tar;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Layers;

public sealed class LayerTests
{
    [Fact]
    public void A_path_that_leaves_the_image_stays_in_it()
    {
        Inode root = Merge(new TarBuilder().File("../../etc/a").File("/abs/b").File("x/../../c").File("./d/./e//f"));

        Assert.Equal(["/abs", "/abs/b", "/c", "/d", "/d/e", "/d/e/f", "/etc", "/etc/a", "/x"], Paths(root));
    }

    [Fact]
    public void A_parent_that_is_a_link_leads_where_it_would_in_a_chroot()
    {
        Inode root = Merge(new TarBuilder().Folder("real").Symlink("abs", "/real").Symlink("up", "../../../real/./").Symlink("far", "/etc")
            .File("abs/a").File("up/b").File("far/passwd", "image's own"));

        Assert.Equal(["/abs", "/etc", "/etc/passwd", "/far", "/real", "/real/a", "/real/b", "/up"], Paths(root));
    }

    [Theory]
    [InlineData("a", "b", "b", "a")]
    [InlineData("a", "a", "b", "a/a")]
    [InlineData("a", "a/a/a", "b", "a/a/a/a")]
    public void Links_without_end_are_refused(string first, string firstTarget, string second, string secondTarget)
    {
        Refused("without end", new TarBuilder().Symlink(first, firstTarget).Symlink(second, secondTarget).File("a/file"));
    }

    [Fact]
    public void A_file_is_no_folder_and_a_root_no_file()
    {
        Refused("as if it were a folder", new TarBuilder().File("a").File("a/b"));
        Refused("root", new TarBuilder().File("./"));
        Refused("root", new TarBuilder().Symlink("/", "/etc"));
    }

    [Theory]
    [InlineData("dir/.wh.")]
    [InlineData("dir/.wh..")]
    [InlineData("dir/.wh...")]
    public void A_whiteout_of_nothing_is_refused(string name) => Refused("whiteout of nothing", new TarBuilder().Folder("dir").File(name));

    [Fact]
    public void Names_and_paths_that_no_file_system_takes_are_refused()
    {
        Refused("255 bytes", new TarBuilder().Pax(("path", new string('a', 256))).File("x"));
        Refused("4096 bytes", new TarBuilder().Pax(("path", string.Concat(Enumerable.Repeat("a/", 2100)) + "x")).File("x"));
        Refused("NUL", new TarBuilder().Pax(("path", "a\0b")).File("x"));
        Refused("symbolic link to nothing", new TarBuilder().Symlink("x", ""));
        Refused("extended attributes", new TarBuilder().Pax(("SCHILY.xattr.user.a", new string('v', 65_536))).File("x"));
    }

    [Fact]
    public void Later_entries_replace_earlier_ones_and_folders_keep_their_files()
    {
        Inode root = Merge(new TarBuilder().File("a", "1").File("a", "22").Folder("d").File("d/f").Folder("d", 0x1c0).File("x").Folder("x").Folder("y").File("y/f").Symlink("y", "z"));

        Assert.Equal(["/a", "/d", "/d/f", "/x", "/y"], Paths(root));
        Assert.Equal(2, root.Children!["a"].Size);
        Assert.Equal(0x1c0, root.Children["d"].Mode);
        Assert.Equal(InodeKind.Folder, root.Children["x"].Kind);
        Assert.Equal(InodeKind.SymbolicLink, root.Children["y"].Kind);
    }

    [Fact]
    public void Whiteouts_hide_lower_layers_and_never_their_own()
    {
        Inode root = Merge(
            new TarBuilder().File("d/low").File("d/gone").File("o/low").File("file").File("again/low"),
            new TarBuilder().File("d/.wh.gone").File("o/.wh..wh..opq").File("o/new").File(".wh.file").File("again/new").File(".wh.again").File("d/own").File("d/.wh.own"));

        Assert.Equal(["/again", "/again/new", "/d", "/d/low", "/d/own", "/o", "/o/new"], Paths(root));
    }

    [Fact]
    public void Files_of_aufs_are_left_out()
    {
        Assert.Equal(["/a"], Paths(Merge(new TarBuilder().File("a").File(".wh..wh.plnk/x".Split('/')[0]).File(".wh..wh.orph"))));
    }

    [Fact]
    public void A_folder_that_no_entry_tells_of_changes_nothing_below()
    {
        Inode root = Merge(new TarBuilder().Folder("d", 0x1c0), new TarBuilder().File("d/f"));

        Assert.Equal(0x1c0, root.Children!["d"].Mode);
    }

    [Fact]
    public void A_folder_takes_the_place_of_a_lower_link_as_under_overlayfs()
    {
        Inode root = Merge(new TarBuilder().Folder("usr/bin").Symlink("bin", "usr/bin").File("usr/bin/sh"), new TarBuilder().File("bin/tool"));

        Assert.Equal(["/bin", "/bin/tool", "/usr", "/usr/bin", "/usr/bin/sh"], Paths(root));
    }

    [Fact]
    public void A_hard_link_reaches_into_lower_layers_even_to_what_its_own_layer_removes()
    {
        Inode root = Merge(
            new TarBuilder().File("dir/target", "content"),
            new TarBuilder().File("dir/.wh.target").Link("kept", "dir/target").Link("kept2", "kept"),
            new TarBuilder().File("dir/target", "other"));

        Assert.Same(root.Children!["kept"], root.Children["kept2"]);
        Assert.Equal((0, 7), (root.Children["kept"].Layer, root.Children["kept"].Size));
        Assert.Equal(5, root.Children["dir"].Children!["target"].Size);
    }

    [Fact]
    public void A_hidden_file_is_there_under_the_other_name_of_its_link()
    {
        Inode root = Merge(new TarBuilder().File("a", "content").Link("b", "a"), new TarBuilder().File(".wh.a"));

        Assert.Equal(7, root.Children!["b"].Size);
    }

    [Fact]
    public void A_hard_link_out_of_the_image_or_to_a_folder_is_refused()
    {
        Refused("no file of the image", new TarBuilder().Link("a", "../../../etc/passwd"));
        Refused("no file of the image", new TarBuilder().Symlink("l", "/etc").Link("a", "l/passwd"));
        Refused("hard link to a folder", new TarBuilder().Folder("d").Link("a", "d"));
        Refused("no file of the image", new TarBuilder().Link("a", "/"));
    }

    [Fact]
    public void Only_attributes_that_are_an_images_business_come_through()
    {
        Inode root = Merge(new TarBuilder()
            .Pax(("SCHILY.xattr.user.a", "1"), ("SCHILY.xattr.security.capability", "2"), ("SCHILY.xattr.trusted.overlay.redirect", "/etc"), ("SCHILY.xattr.user.overlay.opaque", "y"), ("SCHILY.xattr.security.selinux", "x"))
            .File("f"));

        Assert.Equal(["security.capability", "user.a"], root.Children!["f"].Xattrs.Select(xattr => xattr.Name));
    }

    [Fact]
    public void What_is_larger_than_the_limits_is_refused_as_such()
    {
        TooLarge(new ImageLimits { MaxEntries = 10 }, new TarBuilder().File("a/b/c/d/e/f/g/h/i/j/k"));
        TooLarge(new ImageLimits { MaxBytes = 5000 }, new TarBuilder().Pax(("GNU.sparse.size", "6000"), ("GNU.sparse.map", "0,1")).File("f", "x"));
        TooLarge(new ImageLimits { MaxBytes = long.MaxValue - 1 }, new TarBuilder().Pax(("GNU.sparse.size", "9223372036854775807"), ("GNU.sparse.map", "0,1")).File("f", "x"));
        TooLarge(new ImageLimits { MaxXattrBytes = 100 }, new TarBuilder().Pax(("SCHILY.xattr.user.a", new string('v', 100))).File("f"));
    }

    [Fact]
    public void A_tree_of_two_thousand_folders_one_in_the_other_is_no_deeper_than_the_stack()
    {
        string deep = string.Concat(Enumerable.Repeat("a/", 2000));

        Inode root = Merge(new TarBuilder().Pax(("path", deep + "f")).File("x"), new TarBuilder().Pax(("path", deep + "g")).File("x"));

        Assert.Equal(2002, Paths(root).Count());
    }

    internal static Inode Merge(params TarBuilder[] layers) => Merge(new ImageLimits(), layers);

    internal static IEnumerable<string> Paths(Inode root)
    {
        var todo = new Stack<(string Path, Inode Folder)>([("", root)]);
        var found = new List<string>();
        while (todo.TryPop(out (string Path, Inode Folder) at))
        {
            foreach ((string name, Inode child) in at.Folder.Children!)
            {
                found.Add($"{at.Path}/{name}");
                if (child.Kind == InodeKind.Folder)
                {
                    todo.Push(($"{at.Path}/{name}", child));
                }
            }
        }

        return found.Order(StringComparer.Ordinal);
    }

    private static Inode Merge(ImageLimits limits, params TarBuilder[] layers)
    {
        var budget = new ImageBudget(limits);
        var trees = new List<LayerTree>();
        foreach (TarBuilder layer in layers)
        {
            var tree = new LayerTree(trees.Count, budget);
            var reader = new TarReader(new MemoryStream(layer.Build()));
            while (reader.Next() is { } entry)
            {
                tree.Add(entry);
            }

            trees.Add(tree);
        }

        return ImageTree.Merge(trees);
    }

    private static void Refused(string why, params TarBuilder[] layers)
    {
        ImageException refusal = Assert.Throws<ImageException>(() => Merge(layers));
        Assert.Equal(ImageFault.BadContent, refusal.Fault);
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
    }

    private static void TooLarge(ImageLimits limits, TarBuilder layer) =>
        Assert.Equal(ImageFault.TooLarge, Assert.Throws<ImageException>(() => Merge(limits, layer)).Fault);
}
