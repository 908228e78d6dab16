using CsCheck;
using Hearth.Images.Tar;

namespace Hearth.Images.Tests.Tar;

public sealed class TarReaderTests
{
    [Fact]
    public void Entries_come_with_their_kinds_attributes_and_bytes()
    {
        byte[] archive = new TarBuilder()
            .Folder("dir/")
            .Entry("dir/file", '0', "hello"u8.ToArray(), mode: 0x9ed, uid: 1000, gid: 50, mtime: 12345)
            .Link("dir/link", "dir/file")
            .Symlink("dir/sym", "../x")
            .Entry("dir/null", '3', major: 1, minor: 3)
            .Entry("dir/pipe", '6')
            .Build();

        List<(TarEntry Entry, byte[] Data)> entries = Read(archive);

        Assert.Equal(["dir/", "dir/file", "dir/link", "dir/sym", "dir/null", "dir/pipe"], entries.Select(read => read.Entry.Name));
        Assert.Equal(
            [TarEntryKind.Folder, TarEntryKind.File, TarEntryKind.HardLink, TarEntryKind.SymbolicLink, TarEntryKind.CharacterNode, TarEntryKind.Fifo],
            entries.Select(read => read.Entry.Kind));
        TarEntry file = entries[1].Entry;
        Assert.Equal((0x9ed, 1000u, 50u, 12345L, 5L), ((int)file.Mode, file.Uid, file.Gid, file.MtimeSeconds, file.Size));
        Assert.Equal("hello"u8, entries[1].Data);
        Assert.Equal("dir/file", entries[2].Entry.LinkName);
        Assert.Equal((1u, 3u), (entries[4].Entry.DeviceMajor, entries[4].Entry.DeviceMinor));
    }

    [Fact]
    public void Pax_records_override_the_header_and_keep_attributes_as_bytes()
    {
        string name = new string('n', 150) + "/\u00ff\u0080";
        byte[] archive = new TarBuilder()
            .Pax(("path", name), ("uid", "3000000000"), ("mtime", "-1.25"), ("SCHILY.xattr.security.capability", "\u0001\0\n=\u00fe"))
            .File("short", "x")
            .File("next", "y")
            .Build();

        List<(TarEntry Entry, byte[] Data)> entries = Read(archive);

        TarEntry first = entries[0].Entry;
        Assert.Equal(name, first.Name);
        Assert.Equal(3000000000u, first.Uid);
        Assert.Equal((-2, 750_000_000u), (first.MtimeSeconds, first.MtimeNanoseconds));
        Xattr xattr = Assert.Single(first.Xattrs);
        Assert.Equal("security.capability", xattr.Name);
        Assert.Equal([1, 0, (byte)'\n', (byte)'=', 0xfe], xattr.Value);
        Assert.Equal("next", entries[1].Entry.Name);
        Assert.Empty(entries[1].Entry.Xattrs);
    }

    [Fact]
    public void Gnu_long_names_and_links_are_read()
    {
        string name = new('a', 300);
        string target = new('b', 200);
        byte[] archive = new TarBuilder().Entry("@", 'L', Latin(name + "\0")).Entry("@", 'K', Latin(target + "\0")).Symlink("cut", "cut").Build();

        TarEntry entry = Assert.Single(Read(archive)).Entry;

        Assert.Equal((name, target), (entry.Name, entry.LinkName));
    }

    [Fact]
    public void A_ustar_prefix_stands_before_the_name()
    {
        var block = new byte[512];
        TarBuilder.Put(block, 0, "name");
        TarBuilder.Put(block, 257, "ustar\0" + "00");
        TarBuilder.Put(block, 345, "long/prefix");

        Assert.Equal("long/prefix/name", Assert.Single(Read(new TarBuilder().Raw(block).Build())).Entry.Name);
    }

    [Fact]
    public void Sparse_files_of_all_formats_are_the_same_file()
    {
        const string Map10 = "2\n512\n3\n5000\n2\n";
        byte[] pax10 = new TarBuilder()
            .Pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "sparse"), ("GNU.sparse.realsize", "6000"))
            .Entry("GNUSparseFile.0/sparse", '0', [.. Latin(Map10), .. new byte[512 - Map10.Length], .. "abcde"u8]).Build();
        byte[] pax01 = new TarBuilder()
            .Pax(("GNU.sparse.size", "6000"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "512,3,5000,2"), ("GNU.sparse.name", "sparse"))
            .Entry("x", '0', "abcde"u8.ToArray()).Build();
        byte[] pax00 = new TarBuilder()
            .Pax(("GNU.sparse.size", "6000"), ("GNU.sparse.offset", "512"), ("GNU.sparse.numbytes", "3"), ("GNU.sparse.offset", "5000"), ("GNU.sparse.numbytes", "2"))
            .Entry("sparse", '0', "abcde"u8.ToArray()).Build();
        var old = new byte[512];
        TarBuilder.Put(old, 0, "sparse");
        TarBuilder.Octal(old, 124, 12, 5);
        old[156] = (byte)'S';
        TarBuilder.Put(old, 257, "ustar  ");
        TarBuilder.Octal(old, 386, 12, 512);
        TarBuilder.Octal(old, 398, 12, 3);
        TarBuilder.Octal(old, 483, 12, 6000);
        old[482] = 1;
        var more = new byte[512];
        TarBuilder.Octal(more, 0, 12, 5000);
        TarBuilder.Octal(more, 12, 12, 2);
        byte[] gnu = new TarBuilder().Raw(old).Data(more).Data("abcde"u8).Build();

        foreach (byte[] archive in new[] { pax10, pax01, pax00, gnu })
        {
            (TarEntry entry, byte[] data) = Assert.Single(Read(archive));
            Assert.Equal(("sparse", 6000), (entry.Name, entry.Size));
            Assert.Equal("abc"u8, data.AsSpan(512, 3));
            Assert.Equal("de"u8, data.AsSpan(5000, 2));
            Assert.Equal('a' + 'b' + 'c' + 'd' + 'e', data.Sum(value => value));
        }
    }

    [Theory]
    [InlineData("0,9999999999999")]
    [InlineData("100,5,50,5")]
    [InlineData("0,-1")]
    [InlineData("9223372036854775807,9223372036854775807")]
    [InlineData("0,4")]
    public void A_sparse_map_that_makes_no_sense_is_refused(string map)
    {
        byte[] archive = new TarBuilder().Pax(("GNU.sparse.size", "6000"), ("GNU.sparse.map", map)).Entry("x", '0', "abcde"u8.ToArray()).Build();

        Refused(archive, "sparse map");
    }

    [Fact]
    public void Base_256_numbers_are_read_and_those_too_large_refused()
    {
        var block = new byte[512];
        TarBuilder.Put(block, 0, "f");
        block[108] = 0x80;
        block[112] = 0xb2;
        block[113] = 0xd0;
        block[114] = 0x5e;
        byte[] good = new TarBuilder().Raw(block).Build();
        Assert.Equal(0xb2d05e00, Assert.Single(Read(good)).Entry.Uid);

        block[109] = 1;
        Refused(new TarBuilder().Raw(block).Build(), "no user or group number");

        block[109] = 0;
        block.AsSpan(124, 12).Fill(0xff);
        Refused(new TarBuilder().Raw(block).Build(), "negative size");
    }

    [Fact]
    public void A_wrong_checksum_an_unknown_type_and_a_huge_header_are_refused()
    {
        byte[] broken = new TarBuilder().File("a").Build();
        broken[0] ^= 1;
        Refused(broken, "checksum");
        Refused(new TarBuilder().Entry("a", 'Q').Build(), "unknown type 0x51");
        Refused(new TarBuilder().Entry("a", 'x', size: TarReader.MaxExtendedHeaderBytes + 1).Build(), "extended header");
        Refused(new TarBuilder().Pax(("size", "9223372036854775807")).File("a").Build(), "no disk has");
        Refused(new TarBuilder().Pax([.. Enumerable.Range(0, 257).Select(i => ($"SCHILY.xattr.user.{i}", "v"))]).File("a").Build(), "256 extended attributes");
        Refused(new TarBuilder().Entry("a", 'x', "99 a=b\n"u8.ToArray()).Build(), "wrong length");
    }

    [Fact]
    public void An_archive_that_ends_early_is_refused_wherever_it_ends()
    {
        byte[] archive = new TarBuilder().Pax(("path", "abc")).File("a", new string('x', 700)).BuildWithoutEnd();

        for (int length = 1; length < archive.Length; length++)
        {
            // Between two entries there is no telling; between a pax header and its file there is not either.
            if (length != 1024)
            {
                Refused(archive[..length], "ends early");
            }
        }

        Assert.Single(Read(archive));
    }

    [Fact]
    public void The_size_of_what_is_no_file_is_void()
    {
        byte[] archive = new TarBuilder().Entry("dir", '5', size: 9999).Entry("link", '2', link: "x", size: 1 << 20).File("file", "data").Build();

        Assert.Equal([0, 0, 4], Read(archive).Select(read => read.Entry.Size));
    }

    [Fact]
    public void Any_bytes_are_an_archive_or_refused() => Gen.Byte.Array[0, 3000].Sample(bytes => TarFuzzTarget.Run(bytes));

    [Fact]
    public void Any_change_of_an_archive_is_an_archive_or_refused()
    {
        byte[] archive = new TarBuilder().Folder("d").Pax(("path", "d/é"), ("SCHILY.xattr.user.a", "b")).File("d/f", "content").Link("d/l", "d/f").Symlink("d/s", "..").File("d/.wh.x").Build();

        Gen.Select(Gen.Int[0, archive.Length - 1], Gen.Byte).Array[1, 20].Sample(changes =>
        {
            byte[] changed = [.. archive];
            foreach ((int at, byte value) in changes)
            {
                changed[at] = value;
            }

            TarFuzzTarget.Run(TarFuzzTarget.WithGoodChecksums(changed));
        });
    }

    private static byte[] Latin(string text) => System.Text.Encoding.Latin1.GetBytes(text);

    private static void Refused(byte[] archive, string why)
    {
        ImageException refusal = Assert.Throws<ImageException>(() => Read(archive));
        Assert.Equal(ImageFault.BadContent, refusal.Fault);
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
    }

    private static List<(TarEntry Entry, byte[] Data)> Read(byte[] archive)
    {
        var reader = new TarReader(new MemoryStream(archive));
        var entries = new List<(TarEntry, byte[])>();
        while (reader.Next() is { } entry)
        {
            var data = new byte[entry.Size];
            while (true)
            {
                reader.ReadChunk(out long offset, out ReadOnlySpan<byte> bytes);
                if (bytes.IsEmpty)
                {
                    break;
                }

                bytes.CopyTo(data.AsSpan((int)offset));
            }

            entries.Add((entry, data));
        }

        return entries;
    }
}
