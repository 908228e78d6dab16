using System.Globalization;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Virtio.Block;

/// <summary>An open backing file: its descriptor, how many whole sectors it has, and the serial number made from it.</summary>
internal sealed unsafe class BlockFile : IDisposable
{
    public const int SectorBytes = 512;

    /// <summary>VIRTIO_BLK_ID_BYTES (virtio 1.2 §5.2.6.1).</summary>
    public const int IdBytes = 20;

    private BlockFile(FileDescriptor fd, ulong sizeBytes, byte[] id)
    {
        Fd = fd;
        SizeBytes = sizeBytes;
        Id = id;
    }

    public FileDescriptor Fd { get; }

    /// <summary>The size as it was when the file was opened.</summary>
    public ulong SizeBytes { get; }

    /// <summary>Whole sectors; bytes after the last one are out of the guest's reach.</summary>
    public ulong Sectors => SizeBytes / SectorBytes;

    /// <summary>What GET_ID answers, padded with zeros.</summary>
    public ReadOnlyMemory<byte> Id { get; }

    /// <exception cref="HearthException">It is not there, may not be opened so, or is no file that holds a disk.</exception>
    public static BlockFile Open(string path, bool readOnly)
    {
        // O_NONBLOCK means nothing to a file or a disk, and keeps us from hanging on a FIFO until we know which it is.
        int flags = (readOnly ? Fcntl.O_RDONLY : Fcntl.O_RDWR) | Fcntl.O_NONBLOCK;
        FileDescriptor fd = FileDescriptor.Open(
            path, flags, remedy: readOnly ? "Is path_on_host right?" : "Is path_on_host right, and writable (or is_read_only meant to be true)?");
        try
        {
            stat_t stat;
            // SAFETY: `stat` lives on this stack for the whole call; its layout is asserted in Hearth.Abi.Tests.
            FileDescriptor.Check(SysStat.fstat(fd.Number, &stat), $"fstat(\"{path}\")");
            uint kind = stat.st_mode & SysStat.S_IFMT;
            if (kind is not (SysStat.S_IFREG or SysStat.S_IFBLK))
            {
                throw new HearthException($"The drive's path_on_host \"{path}\" is neither a file nor a block device. Give the path of a disk image.");
            }

            const int SeekEnd = 2;
            long size = Unistd.lseek(fd.Number, 0, SeekEnd);
            if (size < 0)
            {
                throw LinuxException.Last($"lseek(\"{path}\")");
            }

            return new BlockFile(fd, (ulong)size, MakeId(stat));
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    public void Dispose() => Fd.Dispose();

    private static byte[] MakeId(in stat_t stat)
    {
        // As Firecracker does: stable for a file on its host, the same for two drives on one file, cut at 20 bytes.
        string text = string.Create(CultureInfo.InvariantCulture, $"{stat.st_dev}{stat.st_rdev}{stat.st_ino}");
        var id = new byte[IdBytes];
        Encoding.ASCII.GetBytes(text.AsSpan(0, Math.Min(text.Length, IdBytes)), id);
        return id;
    }
}
