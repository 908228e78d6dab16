using Hearth.Linux.Native;
using Hearth.Programs.Agent.Setup;

namespace Hearth.Agent.Tests;

public sealed class MountOptionsTests
{
    [Fact]
    public void Options_are_flags_propagation_and_data()
    {
        MountOptions options = MountOptions.Parse(["nosuid", "rslave", "mode=755", "size=64k", "strictatime"]);

        Assert.Equal(new MountOptions(SysMount.MS_NOSUID | SysMount.MS_STRICTATIME, SysMount.MS_SLAVE | SysMount.MS_REC, "mode=755,size=64k"), options);
    }

    [Fact]
    public void A_part_of_the_source_is_no_file_systems_option() =>
        Assert.Equal(("etc/x,y", ""), (MountOptions.Parse(["rbind", "X-mount.subdir=etc/x,y"]).Subdirectory, MountOptions.Parse(["X-mount.subdir=a"]).Data));

    [Fact]
    public void The_last_word_counts() => Assert.Equal(0u, MountOptions.Parse(["ro", "rw"]).Flags);

    [Theory]
    [InlineData("bind", new[] { "ro" }, true)]
    [InlineData("none", new[] { "rbind", "ro" }, true)]
    [InlineData("tmpfs", new[] { "ro" }, false)]
    public void A_bind_mount_is_known_by_type_or_option(string type, string[] words, bool isBind)
    {
        MountOptions options = MountOptions.Parse(words, type);

        Assert.Equal((isBind, SysMount.MS_RDONLY), (options.IsBind, options.BindFlags));
    }

    [Theory]
    [InlineData("private", SysMount.MS_PRIVATE | SysMount.MS_REC)]
    [InlineData("rshared", SysMount.MS_SHARED | SysMount.MS_REC)]
    [InlineData(null, 0u)]
    public void The_roots_propagation_is_recursive(string? name, uint expected) => Assert.Equal(expected, MountOptions.PropagationOf(name));
}
