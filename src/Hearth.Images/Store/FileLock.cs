namespace Hearth.Images.Store;

/// <summary>
/// Locks between processes and between tasks of one: flock() on a file, which the kernel drops however its holder ends.
/// </summary>
internal static class FileLock
{
    // EWOULDBLOCK of the flock() that .NET's FileShare stands for.
    private const int Held = 11;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);

    /// <summary>Opens a file for this caller alone; null while another has it.</summary>
    public static FileStream? TryExclusive(string path) => TryOpen(path, FileAccess.ReadWrite, FileShare.None);

    /// <summary>Opens a file together with others who share it; null while someone has it alone.</summary>
    public static FileStream? TryShared(string path)
    {
        // A shared lock is taken only by those who read, and they make no file.
        if (!File.Exists(path))
        {
            TryExclusive(path)?.Dispose();
        }

        return TryOpen(path, FileAccess.Read, FileShare.Read);
    }

    /// <summary>Tries until it has the lock.</summary>
    /// <param name="attempt">One of the above.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    public static async Task<FileStream> WaitAsync(Func<FileStream?> attempt, CancellationToken cancellation)
    {
        FileStream? held;
        while ((held = attempt()) is null)
        {
            await Task.Delay(s_poll, cancellation).ConfigureAwait(false);
        }

        return held;
    }

    private static FileStream? TryOpen(string path, FileAccess access, FileShare share)
    {
        try
        {
            return new FileStream(path, access == FileAccess.Read ? FileMode.Open : FileMode.OpenOrCreate, access, share, bufferSize: 0);
        }
        catch (IOException e) when (e.HResult == Held || (e is FileNotFoundException && access == FileAccess.Read))
        {
            return null;
        }
    }
}
