using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

public sealed class ImageDrivesTests : IDisposable
{
    private readonly List<(int Index, string? Path, string? Before)> _given = [];
    private readonly ImageDrives _drives;

    public ImageDrivesTests()
    {
        _drives = new ImageDrives(2, 1, (index, path, before, _) =>
        {
            _given.Add((index, path, before));
            return path == "/broken" ? Task.FromException(new HearthException("no")) : Task.CompletedTask;
        });
    }

    public void Dispose() => _drives.Dispose();

    [Fact]
    public async Task Containers_of_an_image_share_a_drive_until_the_last_has_gone()
    {
        Assert.Equal("/dev/vdb", await AttachAsync("a", "/one"));
        Assert.Equal("/dev/vdb", await AttachAsync("b", "/one"));
        await _drives.DetachAsync("a", CancellationToken.None);
        await _drives.DetachAsync("a", CancellationToken.None);
        Assert.Equal([(0, "/one", null)], _given);
        await _drives.DetachAsync("b", CancellationToken.None);
        Assert.Equal((0, null, "/one"), _given[^1]);
    }

    [Fact]
    public async Task The_drive_that_has_been_free_the_longest_is_next_and_one_too_many_is_said_so()
    {
        Assert.Equal("/dev/vdb", await AttachAsync("a", "/one"));
        await _drives.DetachAsync("a", CancellationToken.None);
        Assert.Equal("/dev/vdc", await AttachAsync("a", "/two"));
        Assert.Equal("/dev/vdb", await AttachAsync("b", "/three"));
        HearthException full = await Assert.ThrowsAsync<HearthException>(() => AttachAsync("c", "/four"));
        Assert.Contains("image_drives", full.Message, StringComparison.Ordinal);
        Assert.Equal("/dev/vdc", await AttachAsync("c", "/two"));
    }

    [Fact]
    public async Task A_drive_that_could_not_be_given_its_image_is_free()
    {
        await Assert.ThrowsAsync<HearthException>(() => AttachAsync("a", "/broken"));
        Assert.Equal("/dev/vdb", await AttachAsync("a", "/one"));
        Assert.Equal("/dev/vdc", await AttachAsync("b", "/two"));
    }

    [Theory]
    [InlineData(0, "/dev/vda")]
    [InlineData(25, "/dev/vdz")]
    [InlineData(26, "/dev/vdaa")]
    public void Disks_are_named_as_the_kernel_does(int index, string name) => Assert.Equal(name, ImageDrives.DeviceOf(index));

    private Task<string> AttachAsync(string id, string path) => _drives.AttachAsync(id, path, CancellationToken.None);
}
