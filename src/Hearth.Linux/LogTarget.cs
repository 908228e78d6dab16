using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// Where lines of text go (a file, a FIFO, the standard error) without ever making the writer wait: what does not
/// fit now is refused. Thread: any; a line up to <see cref="MaxLineBytes"/> is written in one piece.
/// </summary>
public sealed class LogTarget : IDisposable
{
    /// <summary>PIPE_BUF: a FIFO takes as much in one piece or nothing.</summary>
    public const int MaxLineBytes = 4096;

    private const int StandardErrorNumber = 2;

    private readonly FileDescriptor _fd;

    private LogTarget(FileDescriptor fd) => _fd = fd;

    public static LogTarget StandardError() => new(new FileDescriptor(StandardErrorNumber, ownsHandle: false));

    /// <summary>Opens a file (made if it is not there, appended to) or a FIFO (read-write, so that no reader is needed).</summary>
    /// <exception cref="LinuxException">The path cannot be opened.</exception>
    public static LogTarget Open(string path)
    {
        const uint OwnerReadWriteOthersRead = 0x1A4;
        return new LogTarget(FileDescriptor.Open(
            path, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_NONBLOCK, OwnerReadWriteOthersRead));
    }

    /// <summary>The file or FIFO; null for standard error.</summary>
    public FileDescriptor? OwnFile => _fd.Number == StandardErrorNumber ? null : _fd;

    /// <summary>Writes one line; false if it was lost.</summary>
    public bool TryWrite(ReadOnlySpan<byte> line)
    {
        line = line[..Math.Min(line.Length, MaxLineBytes)];
        return Polling.WriteWithoutBlocking(_fd, line) == line.Length;
    }

    /// <summary>Writes of <paramref name="text"/> what fits now; gives how many bytes that were.</summary>
    public int WriteSome(ReadOnlySpan<byte> text)
    {
        int done = 0;
        int count;
        while (done < text.Length && (count = Polling.WriteWithoutBlocking(_fd, text[done..])) > 0)
        {
            done += count;
        }

        return done;
    }

    public void Dispose() => _fd.Dispose();
}
