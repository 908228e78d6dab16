using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>Files that are there whole or not at all, whatever ends this process or the machine. Thread: any.</summary>
public static class DurableFile
{
    private const int NoSpace = (int)Errno.ENOSPC;
    private const int OverQuota = 122;

    /// <summary>Writes a small file under a temporary name beside, and renames it.</summary>
    /// <param name="path">Its final name.</param>
    /// <param name="content">All of it.</param>
    /// <param name="flush">
    /// Whether it must outlive the machine's end, and not only this process's. Without, a machine that loses its power may leave
    /// an empty file under the final name.
    /// </param>
    public static void Write(string path, ReadOnlySpan<byte> content, bool flush = true)
    {
        string temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                file.Write(content);
                if (flush)
                {
                    file.Flush(flushToDisk: true);
                }
            }

            if (flush)
            {
                Publish(temporary, path);
            }
            else
            {
                File.Move(temporary, path, overwrite: true);
            }
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Gives a file or folder, whose content is on the disk, its final name.</summary>
    public static void Publish(string temporary, string path)
    {
        if (Directory.Exists(temporary))
        {
            SyncFolder(temporary);
            Directory.Move(temporary, path);
        }
        else
        {
            File.Move(temporary, path, overwrite: true);
        }

        SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Whether a failed write means that the disk, or the user's share of it, is full.</summary>
    public static bool IsFull(Exception e) => e is IOException { HResult: NoSpace or OverQuota };

    /// <summary>Makes the names in a folder durable.</summary>
    private static void SyncFolder(string path)
    {
        using FileDescriptor folder = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        FileDescriptor.Check(Unistd.fsync(folder.Number), $"fsync(\"{path}\")");
    }
}
