namespace Hearth.Linux.Tests;

public sealed class FileAllocationTests
{
    [Fact]
    public void A_hole_takes_no_room()
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream file = File.OpenWrite(path))
            {
                file.SetLength(1 << 30);
                file.Write(new byte[100_000]);
                file.Flush(flushToDisk: true);
            }

            Assert.InRange(FileAllocation.BytesOf(path), 100_000, 1 << 20);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void What_is_not_there_is_said_so() =>
        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => FileAllocation.BytesOf("/nowhere")).Errno);
}
