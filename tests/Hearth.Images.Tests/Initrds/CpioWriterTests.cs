using System.Diagnostics;
using System.Globalization;
using System.Text;
using CsCheck;
using Hearth.Images.Initrds;

namespace Hearth.Images.Tests.Initrds;

public sealed class CpioWriterTests
{
    private static readonly Gen<string> s_name = Gen.String[Gen.Char["abc-_ é"], 1, 6];
    private static readonly Gen<string> s_path = s_name.Array[1, 4].Select(parts => string.Join('/', parts));

    [Fact]
    public void Every_file_comes_back_with_its_bytes_and_mode() =>
        Gen.Dictionary(s_path, Gen.Select(Gen.Byte.Array[0, 300], Gen.Int[0, 0xfff]))[0, 12].Sample(files =>
        {
            // A path that is another's folder cannot be a file too; that is another test.
            var kept = files.Where(f => !files.Keys.Any(k => k.StartsWith(f.Key + "/", StringComparison.Ordinal))).ToDictionary();
            List<Entry> entries = Read(Write(w =>
            {
                foreach ((string path, (byte[] content, int mode)) in kept)
                {
                    w.AddFile(path, content, mode);
                }
            }));

            Entry[] regular = [.. entries.Where(e => e.Kind == 0x8)];
            Assert.Equal(kept.Count, regular.Length);
            foreach (Entry entry in regular)
            {
                Assert.Equal(kept[entry.Name].Item1, entry.Content);
                Assert.Equal(kept[entry.Name].Item2, entry.Mode);
            }
        });

    [Fact]
    public void A_folder_comes_before_what_is_in_it_and_once()
    {
        List<Entry> entries = Read(Write(w =>
        {
            w.AddFile("a/b/one", [1], 0x1a4);
            w.AddFile("a/b/two", [2], 0x1a4);
            w.AddFolder("a/c");
            w.AddLink("a/link", "b/one");
        }));

        Assert.Equal(["a", "a/b", "a/b/one", "a/b/two", "a/c", "a/link"], entries.Select(e => e.Name));
        Assert.Equal([4, 4, 8, 8, 4, 0xa], entries.Select(e => e.Kind));
        Assert.Equal("b/one", Encoding.UTF8.GetString(entries[^1].Content));
        Assert.Equal(entries.Count, entries.Select(e => e.Inode).Distinct().Count());
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("../up")]
    [InlineData("a/../../up")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("")]
    [InlineData("a\0b")]
    [InlineData("TRAILER!!!")]
    public void A_path_that_leads_elsewhere_is_refused(string path) =>
        Write(w => Assert.Throws<ImageException>(() => w.AddFile(path, [], 0x1a4)));

    [Fact]
    public void A_name_is_taken_once() => Write(w =>
    {
        w.AddFile("a/b", [], 0x1a4);
        Assert.Throws<ImageException>(() => w.AddFile("a/b", [], 0x1a4));
        Assert.Throws<ImageException>(() => w.AddFile("a", [], 0x1a4));
        Assert.Throws<ImageException>(() => w.AddLink("a/b/c", "x"));
    });

    [Fact]
    public void The_same_files_give_the_same_bytes()
    {
        static void Fill(CpioWriter w)
        {
            w.AddFile("init", [1, 2, 3], 0x1ed);
            w.AddFolder("dev");
        }

        Assert.Equal(Write(Fill), Write(Fill));
    }

    [Fact]
    public void The_system_cpio_reads_it()
    {
        byte[] archive = Write(w =>
        {
            w.AddFile("init", "#!/bin/sh\n"u8, 0x1ed);
            w.AddFile("modules/odd name.ko", new byte[4097], 0x1a4);
            w.AddLink("bin/sh", "busybox");
        });

        using Process cpio = Process.Start(new ProcessStartInfo("cpio", ["-t", "--quiet"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        cpio.StandardInput.BaseStream.Write(archive);
        cpio.StandardInput.Close();
        string names = cpio.StandardOutput.ReadToEnd();
        string complaints = cpio.StandardError.ReadToEnd();
        cpio.WaitForExit();

        Assert.Equal(0, cpio.ExitCode);
        Assert.Empty(complaints);
        Assert.Equal("init\nmodules\nmodules/odd name.ko\nbin\nbin/sh\n", names);
    }

    private static byte[] Write(Action<CpioWriter> fill)
    {
        using var bytes = new MemoryStream();
        using (var writer = new CpioWriter(bytes))
        {
            fill(writer);
        }

        return bytes.ToArray();
    }

    // Another reading of buffer-format.rst than the writer's.
    private static List<Entry> Read(byte[] archive)
    {
        var entries = new List<Entry>();
        int at = 0;
        while (true)
        {
            Assert.Equal("070701", Encoding.ASCII.GetString(archive, at, 6));
            uint Field(int index) => uint.Parse(Encoding.ASCII.GetString(archive, at + 6 + (index * 8), 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            int size = (int)Field(6);
            int nameSize = (int)Field(11);
            string name = Encoding.UTF8.GetString(archive, at + 110, nameSize - 1);
            Assert.Equal(0, archive[at + 110 + nameSize - 1]);
            int content = (at + 110 + nameSize + 3) / 4 * 4;
            if (name == "TRAILER!!!")
            {
                Assert.Equal(archive.Length, content);
                return entries;
            }

            entries.Add(new Entry(name, (int)(Field(1) >> 12), (int)(Field(1) & 0xfff), Field(0), archive[content..(content + size)]));
            at = (content + size + 3) / 4 * 4;
        }
    }

    private sealed record Entry(string Name, int Kind, int Mode, uint Inode, byte[] Content);
}
