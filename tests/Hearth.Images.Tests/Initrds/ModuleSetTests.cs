using Hearth.Images.Initrds;

namespace Hearth.Images.Tests.Initrds;

public sealed class ModuleSetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_module_comes_after_what_it_needs_and_once()
    {
        ModuleSet set = Load("kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko: kernel/c.ko\nkernel/c.ko:\n");

        Assert.Equal(["kernel/c.ko", "kernel/b.ko", "kernel/a.ko"], set.Resolve(["a", "b"]));
    }

    [Fact]
    public void A_soft_need_by_an_alias_is_loaded_before()
    {
        _folder.Write("modules.softdep", "# Soft dependencies\nsoftdep ext4 pre: crypto-crc32c post: other\n");
        _folder.Write("modules.alias", "alias pci:v* other\nalias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c_intel\n");
        ModuleSet set = Load("fs/ext4.ko: fs/jbd2.ko\nfs/jbd2.ko:\ncrypto/crc32c_generic.ko:\ncrypto/crc32c-intel.ko:\nother.ko:\n");

        Assert.Equal(["crypto/crc32c_generic.ko", "crypto/crc32c-intel.ko", "fs/jbd2.ko", "fs/ext4.ko"], set.Resolve(["ext4"]));
    }

    [Fact]
    public void Dashes_and_compressed_names_are_the_same_module()
    {
        ModuleSet set = Load("drivers/virtio-rng.ko.xz:\n");

        Assert.True(set.Has("virtio_rng"));
        Assert.Equal(["drivers/virtio-rng.ko.xz"], set.Resolve(["virtio_rng", "virtio-rng"]));
    }

    [Fact]
    public void What_is_built_in_or_unknown_adds_nothing()
    {
        _folder.Write("modules.builtin", "kernel/fs/ext4/ext4.ko\n");
        ModuleSet set = Load("a.ko:\n");

        Assert.True(set.Has("ext4"));
        Assert.False(set.Has("nowhere"));
        Assert.Empty(set.Resolve(["ext4", "nowhere"]));
    }

    [Fact]
    public void A_circle_of_needs_ends()
    {
        _folder.Write("modules.alias", "alias x y\nalias y x\n");
        ModuleSet set = Load("a.ko: b.ko\nb.ko: a.ko\n");

        Assert.Equal(["b.ko", "a.ko"], set.Resolve(["a", "x"]));
    }

    [Theory]
    [InlineData("../../etc/shadow.ko")]
    [InlineData("/etc/shadow.ko")]
    public void A_list_that_names_the_hosts_files_is_refused(string path)
    {
        ModuleSet set = Load(path + ":\n");

        Assert.Throws<ImageException>(() => set.FullPath(set.Resolve(["shadow"])[0]));
    }

    [Fact]
    public void A_module_that_is_a_link_out_is_refused()
    {
        File.CreateSymbolicLink(_folder["a.ko"], "/etc/passwd");

        Assert.Throws<ImageException>(() => Load("a.ko:\n").FullPath("a.ko"));
    }

    [Fact]
    public void Missing_and_broken_lists_are_named()
    {
        ImageException missing = Assert.Throws<ImageException>(() => ModuleSet.Load(_folder.Path));
        Assert.Contains("modules.dep", missing.Message, StringComparison.Ordinal);

        ImageException broken = Assert.Throws<ImageException>(() => Load("no colon here\n"));
        Assert.Contains("no colon here", broken.Message, StringComparison.Ordinal);
    }

    private ModuleSet Load(string dependencies)
    {
        _folder.Write("modules.dep", dependencies);
        return ModuleSet.Load(_folder.Path);
    }
}
