using System.Globalization;
using System.IO.Enumeration;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// A container's root as an ext4 image, for monitors that have no virtio-fs to show the guest a directory of the host: a copy, made by
/// mke2fs, whose changes stay in the machine. Its owners, permissions and attributes are the directory's; sockets are left out.
/// </summary>
internal static class RootImage
{
    // What is not used is a hole: room costs nothing.
    private const long SpareBytes = 64L << 20;
    private const int SpareInodes = 1024;
    private const int BlockBytes = 4096;

    /// <summary>Makes the image.</summary>
    /// <param name="directory">The root, mounted in this process's mount namespace; nobody changes it meanwhile.</param>
    /// <param name="image">The file, which is not there yet.</param>
    /// <param name="cancellation">Gives it up.</param>
    /// <exception cref="HearthException">mke2fs is missing or fails, or the disk is full; the file is not there.</exception>
    public static async Task MakeAsync(string directory, string image, CancellationToken cancellation)
    {
        (long bytes, long inodes) = Measure(directory, cancellation);
        try
        {
            // For whoever the monitor runs as; others do not get into the folder.
            await File.Create(image).DisposeAsync().ConfigureAwait(false);
            File.SetUnixFileMode(image, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
            await Mke2fs.RunAsync(
                [
                    "-d", directory, "-b", Text(BlockBytes), "-N", Text(inodes + SpareInodes), image, Text((bytes + (bytes / 8) + SpareBytes) / BlockBytes),
                ],
                $"an image of a container's root in {Path.GetDirectoryName(image)}",
                cancellation).ConfigureAwait(false);
        }
        catch
        {
            File.Delete(image);
            throw;
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static (long Bytes, long Inodes) Measure(string directory, CancellationToken cancellation)
    {
        // Each in blocks of its own, as if no two names were of one file.
        var sizes = new FileSystemEnumerable<long>(
            directory,
            static (ref FileSystemEntry entry) => BlockBytes + (entry.IsDirectory || entry.Attributes.HasFlag(FileAttributes.ReparsePoint) ? 0 : (entry.Length + BlockBytes - 1) / BlockBytes * BlockBytes),
            new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = false, ReturnSpecialDirectories = false })
        {
            ShouldRecursePredicate = static (ref FileSystemEntry entry) => entry.IsDirectory && !entry.Attributes.HasFlag(FileAttributes.ReparsePoint),
        };
        long bytes = 0;
        long inodes = 0;
        foreach (long size in sizes)
        {
            cancellation.ThrowIfCancellationRequested();
            bytes += size;
            inodes++;
        }

        return (bytes, inodes);
    }
}
