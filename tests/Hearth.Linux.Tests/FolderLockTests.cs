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
    public async Task Who_waits_for_a_folder_that_goes_away_gets_none_and_of_one_made_anew_the_new_one()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-lock-").FullName;
        FileDescriptor first = FolderLock.TryTake(folder)!;
        Task<FileDescriptor?> second = Task.Run(() => FolderLock.TryTake(folder));
        // Long enough for the second to have opened the old folder, as a rule; if it has not, this proves less, and is no less true.
        await Task.Delay(200);
        Directory.Move(folder, folder + ".old");
        Directory.CreateDirectory(folder);
        first.Dispose();
        using (FileDescriptor taken = (await second)!)
        {
            Assert.Equal(folder, File.ResolveLinkTarget($"/proc/self/fd/{taken.Number}", returnFinalTarget: false)!.FullName);
            second = Task.Run(() => FolderLock.TryTake(folder));
            await Task.Delay(200);
            Directory.Delete(folder);
        }

        Assert.Null(await second);
        Directory.Delete(folder + ".old");
    }
}
