using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.Memory;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Vmm.Boot;

/// <summary>A kernel or initrd file, read at offsets straight into guest memory; never the whole file at once.</summary>
internal sealed class KernelFile : IDisposable
{
    // One read(2) takes at most 2 GiB - 4 KiB; spans end at 2 GiB.
    private const uint MostPerRead = 1 << 30;

    private readonly FileDescriptor _fd;
    private readonly SafeFileHandle _handle;

    private KernelFile(string path, FileDescriptor fd)
    {
        Path = path;
        _fd = fd;
        _handle = new SafeFileHandle(fd.Number, ownsHandle: false);
        Length = (ulong)RandomAccess.GetLength(_handle);
    }

    public string Path { get; }

    public ulong Length { get; }

    public static KernelFile Open(string path, string what)
    {
        FileDescriptor fd;
        try
        {
            // Without O_NONBLOCK a pipe would hold up the API thread until somebody writes to it.
            fd = FileDescriptor.Open(path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
        }
        catch (LinuxException e)
        {
            throw new KernelLoadException(path, $"the {what} cannot be opened ({LinuxException.Describe(e.Errno)})", "Check the path and its permissions.");
        }

        try
        {
            return new KernelFile(path, fd);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            fd.Dispose();
            throw new KernelLoadException(path, $"the {what} is not a regular file", "Check the path.");
        }
    }

    public void Dispose()
    {
        _handle.Dispose();
        _fd.Dispose();
    }

    /// <summary>Reads a structure, or says that the file ends before it.</summary>
    public T Read<T>(ulong offset, string what)
        where T : unmanaged
    {
        Unsafe.SkipInit(out T value);
        ReadExactly(offset, MemoryMarshal.AsBytes(new Span<T>(ref value)), what);
        return value;
    }

    /// <summary>Fills <paramref name="destination"/>, or says that the file ends before that.</summary>
    public void ReadExactly(ulong offset, Span<byte> destination, string what)
    {
        if (offset > Length || (ulong)destination.Length > Length - offset)
        {
            throw Truncated(what);
        }

        while (destination.Length > 0)
        {
            int count;
            try
            {
                count = RandomAccess.Read(_handle, destination, (long)offset);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                throw new KernelLoadException(Path, $"reading {what} failed ({LinuxException.Describe((Errno)e.HResult)})", "Is it a regular file? Check the disk it is on.");
            }

            if (count == 0)
            {
                throw Truncated(what);
            }

            destination = destination[count..];
            offset += (ulong)count;
        }
    }

    /// <summary>Copies a part of the file to guest memory.</summary>
    public void ReadInto(GuestMemory memory, GuestAddress address, ulong offset, ulong length, string what)
    {
        while (length > 0)
        {
            uint part = (uint)Math.Min(length, MostPerRead);
            if (!memory.TryGetSpan(address, part, out Span<byte> destination))
            {
                throw new KernelLoadException(
                    Path,
                    $"{what} is to lie at {address}, outside the guest's {memory.SizeBytes >> 20} MiB of memory",
                    "Give the guest more memory (mem_size_mib).");
            }

            ReadExactly(offset, destination, what);
            address += part;
            offset += part;
            length -= part;
        }
    }

    private KernelLoadException Truncated(string what) =>
        new(Path, $"the file ends inside {what}", "It is truncated or no kernel: copy or build it again.");
}
