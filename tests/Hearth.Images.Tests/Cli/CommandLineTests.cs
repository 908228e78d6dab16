using System.IO.Compression;

namespace Hearth.Images.Tests.Cli;

public sealed class CommandLineTests : IDisposable
{
    private readonly FakeDebian _debian = new();

    public void Dispose() => _debian.Dispose();

    [Fact]
    public void A_tool_that_is_not_installed_is_named_with_its_package()
    {
        _debian.Script("apt-get", "[ \"$1\" = indextargets ] && echo 'http://mirror.example/|bookworm|main|Packages||Debian'");
        _debian.HideTheRealTools();

        (int status, _, string errors) = _debian.Run("rootfs", "build", "-o", _debian["rootfs.ext4"]);

        Assert.Equal(1, status);
        Assert.Contains("The program mmdebstrap is needed and not installed. Install it: apt-get install mmdebstrap", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rootfs", "build")]
    [InlineData("initrd", "build", "-o", "x")]
    [InlineData("kernel", "build", "--nonsense")]
    [InlineData("kernel", "import")]
    [InlineData("rootfs", "build", "-o", "x", "--size", "big")]
    [InlineData("nonsense")]
    public void A_wrong_command_line_is_an_error_with_help(params string[] arguments)
    {
        (int status, _, string errors) = _debian.Run(arguments);

        Assert.Equal(1, status);
        Assert.NotEmpty(errors);
    }

    [Fact]
    public void A_file_in_an_initrd_that_cannot_be_read_is_named_by_the_system()
    {
        (int status, _, string errors) = _debian.Run("initrd", "build", "--init", "/nowhere/init", "-o", _debian["initrd"]);

        Assert.Equal(1, status);
        Assert.Contains("Cannot put /nowhere/init into the initrd: Could not find", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void An_initrd_holds_what_was_asked_for()
    {
        string init = _debian.Write("init.sh", "#!/bin/sh\nreboot -f\n");
        string data = _debian.Write("data", "some data");

        (int status, _, string errors) = _debian.Run("initrd", "build", "--init", init, "--busybox", "--file", data + ":/etc/data", "-o", _debian["initrd"]);

        Assert.True(status == 0, errors);
        using var archive = new StreamReader(new GZipStream(File.OpenRead(_debian["initrd"]), CompressionMode.Decompress));
        string text = archive.ReadToEnd();
        Assert.Contains("reboot -f", text, StringComparison.Ordinal);
        Assert.Contains("etc/data", text, StringComparison.Ordinal);
        Assert.Contains("some data", text, StringComparison.Ordinal);
        Assert.Contains("bin/busybox", text, StringComparison.Ordinal);
    }
}
