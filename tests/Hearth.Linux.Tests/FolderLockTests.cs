namespace Hearth.Linux.Tests;

public sealed class FolderLockTests
{
    [Fact]
    public async Task A_folder_is_one_takers_at_a_time_and_keeps_no_file()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-lock-").FullName;
        FileDescriptor first = FolderLock.Take(folder);
        Task<FileDescriptor> second = Task.Run(() => FolderLock.Take(folder));
        Assert.False(second.IsCompleted);

        first.Dispose();

        (await second).Dispose();
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        Directory.Delete(folder);
        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => FolderLock.Take(folder)).Errno);
    }

    [Fact]
    public void Who_does_not_wait_gets_a_folder_that_is_there_and_nobodys()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-lock-").FullName;
        using (FolderLock.TryTake(folder)!)
        {
            Assert.Null(FolderLock.TryTake(folder));
            Directory.Move(folder, folder + ".old");
            Assert.Null(FolderLock.TryTake(folder));
            Directory.CreateDirectory(folder);
            FolderLock.TryTake(folder)!.Dispose();
        }

        FolderLock.TryTake(folder + ".old")!.Dispose();
        Directory.Delete(folder);
        Directory.Delete(folder + ".old");
    }
}
