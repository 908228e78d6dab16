using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Images.Store;

/// <summary>Files that are there whole or not at all, whatever ends this process or the machine.</summary>
internal static class DurableFile
{
    private const int NoSpace = (int)Errno.ENOSPC;
    private const int OverQuota = 122;

    /// <summary>Writes a small file under a temporary name beside, and renames it.</summary>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        string temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            Publish(temporary, path);
        }
        finally
        {
            File.Delete(temporary);
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

    /// <summary>What to tell of a failed write.</summary>
    public static ImageException Failure(Exception e, string root) => IsFull(e)
        ? new ImageException(ImageFault.NoSpace, $"The disk with {root} is full. Make room (hearth rmi removes images), or have images kept elsewhere; what was begun is removed.", e)
        : new ImageException($"Cannot write under {root}: {e.Message}", e);

    /// <summary>Makes the names in a folder durable.</summary>
    private static void SyncFolder(string path)
    {
        using FileDescriptor folder = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        FileDescriptor.Check(Unistd.fsync(folder.Number), $"fsync(\"{path}\")");
    }
}
