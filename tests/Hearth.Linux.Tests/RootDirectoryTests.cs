using Hearth.Linux.Native;

namespace Hearth.Linux.Tests;

/// <summary>A directory that someone else filled: nothing in it leads out.</summary>
public sealed class RootDirectoryTests : IDisposable
{
    private readonly string _outside = Directory.CreateTempSubdirectory("hearth-outside-").FullName;
    private readonly string _inside = Directory.CreateTempSubdirectory("hearth-inside-").FullName;
    private readonly RootDirectory _root;

    public RootDirectoryTests()
    {
        _root = new RootDirectory(_inside);
        File.WriteAllText(Path.Combine(_outside, "secret"), "secret");
    }

    [Fact]
    public void A_link_that_leads_out_ends_inside()
    {
        Link("absolute", _outside);
        Link("relative", "../../../../../.." + _outside);

        Assert.Null(_root.ReadFile("/absolute/secret", 100));
        Assert.Null(_root.ReadFile("/relative/secret", 100));
        Assert.Null(_root.ReadFile("/../../.." + _outside + "/secret", 100));
    }

    [Fact]
    public void Directories_are_made_inside_also_through_links_that_lead_nowhere()
    {
        Link("var-run", "/run/there");
        Link("escape", _outside + "/made");
        Directory.CreateDirectory(Path.Combine(_inside, "sub"));
        Link("sub/up", "../beside");

        _root.MakeDirectories("/var-run/secrets/a").Dispose();
        _root.MakeDirectories("/escape/b").Dispose();
        _root.MakeDirectories("/sub/up/c").Dispose();

        Assert.True(Directory.Exists(Path.Combine(_inside, "run/there/secrets/a")));
        Assert.True(Directory.Exists(_inside + _outside + "/made/b"));
        Assert.True(Directory.Exists(Path.Combine(_inside, "beside/c")));
        Assert.Single(Directory.GetFileSystemEntries(_outside));
    }

    [Theory]
    [InlineData("/loop/x")]
    [InlineData("/file/x")]
    [InlineData("/ping/x")]
    public void Links_in_a_circle_and_files_in_the_way_are_errors(string path)
    {
        Link("loop", "loop");
        Link("ping", "pong/a");
        Link("pong", "ping/b");
        File.WriteAllText(Path.Combine(_inside, "file"), "");

        Assert.Throws<LinuxException>(() => _root.MakeDirectories(path));
    }

    [Theory]
    [InlineData("nul\0")]
    [InlineData("")]
    [InlineData("/..")]
    [InlineData("/.")]
    public void What_is_no_name_makes_no_file(string path) => Assert.ThrowsAny<LinuxException>(() => _root.MakeLink("x", path));

    [Fact]
    public void Only_regular_files_of_some_size_are_read()
    {
        // Its owner stays: this may not be root.
        _root.MakeNode("/fifo", SysStat.S_IFIFO | 0x1ff, 0, uint.MaxValue, uint.MaxValue);
        File.WriteAllText(Path.Combine(_inside, "big"), "12345");

        Assert.Null(_root.ReadFile("/fifo", 100));
        Assert.Null(_root.ReadFile("/big", 4));
        Assert.Null(_root.ReadFile("/", 100));
        Assert.Equal("12345"u8.ToArray(), _root.ReadFile("/big", 5));
    }

    [Fact]
    public void A_file_is_made_once_and_kept()
    {
        _root.MakeFile("/a/b/file").Dispose();
        File.WriteAllText(Path.Combine(_inside, "a/b/file"), "kept");

        _root.MakeFile("/a/b/file").Dispose();

        Assert.Equal("kept"u8.ToArray(), _root.ReadFile("a/b/file", 10));
    }

    [Fact]
    public void A_device_number_is_what_the_c_library_makes_of_it()
    {
        Assert.Equal(0x103ul, RootDirectory.Device(1, 3));
        Assert.Equal(0x100023456778ul, RootDirectory.Device(0x1567, 0x23478));
        Assert.Equal(FileStatus.Of(FileDescriptor.Open("/dev/null", Fcntl.O_PATH)).Device, RootDirectory.Device(1, 3));
    }

    public void Dispose()
    {
        _root.Dispose();
        Directory.Delete(_inside, recursive: true);
        Directory.Delete(_outside, recursive: true);
    }

    private void Link(string path, string target) => File.CreateSymbolicLink(Path.Combine(_inside, path), target);
}
