using System.Net.Sockets;
using System.Threading.Channels;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// A client of a process that conmon holds: packets whose first byte says of which stream they are, and input as it comes.
/// </summary>
internal sealed class ConmonAttachment : IProcessSession
{
    // conmon reads so much at a time, and cuts the rest off.
    private const int MostInputBytes = 8192;
    private const int MostPacketBytes = 64 << 10;
    private const int StdoutMark = 2;
    private const int StderrMark = 3;
    private const int PacketsAhead = 64;

    private readonly Socket _socket;
    private readonly string _control;
    private readonly PacketStream? _stdout;
    private readonly PacketStream? _stderr;
    private readonly Func<CancellationToken, Task<int>> _wait;
    private readonly Action? _letGo;

    private ConmonAttachment(Socket socket, string control, bool stdin, bool stdout, bool stderr, Func<CancellationToken, Task<int>> wait, Action? letGo)
    {
        _socket = socket;
        _control = control;
        _wait = wait;
        _letGo = letGo;
        Stdin = stdin ? new InputStream(socket) : null;
        _stdout = stdout ? new PacketStream() : null;
        _stderr = stderr ? new PacketStream() : null;
        _ = Task.Run(ReceiveAsync);
    }

    public Stream? Stdin { get; }

    public Stream? Stdout => _stdout;

    public Stream? Stderr => _stderr;

    /// <param name="folder">Where conmon's socket and control FIFO are.</param>
    /// <param name="stdin">Whether input is written.</param>
    /// <param name="stdout">Whether output is read.</param>
    /// <param name="stderr">Whether errors are read.</param>
    /// <param name="wait">Waits for the process's end.</param>
    /// <param name="letGo">Called once when the session ends.</param>
    /// <exception cref="PodException">Nobody listens: the process has ended.</exception>
    public static ConmonAttachment Connect(
        string folder, bool stdin, bool stdout, bool stderr, Func<CancellationToken, Task<int>> wait, Action? letGo = null)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        try
        {
            // By a descriptor: the path itself is longer than a socket's address may be.
            using FileDescriptor where = FileDescriptor.Open(folder, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
            socket.Connect(new UnixDomainSocketEndPoint($"{Mounts.PathOf(where)}/attach"));
            return new ConmonAttachment(socket, Path.Combine(folder, "ctl"), stdin, stdout, stderr, wait, letGo);
        }
        catch (Exception e) when (e is SocketException or LinuxException)
        {
            socket.Dispose();
            throw new PodException(PodFault.FailedPrecondition, $"There is nothing to attach to: the process has ended, or its conmon is gone ({e.Message}).", e);
        }
    }

    public Task ResizeAsync(uint columns, uint rows, CancellationToken cancellation = default)
    {
        ConmonControl.Write(_control, $"1 {Math.Min(rows, 1000)} {Math.Min(columns, 1000)}\n");
        return Task.CompletedTask;
    }

    public Task<int> WaitAsync(CancellationToken cancellation = default) => _wait(cancellation);

    public ValueTask DisposeAsync()
    {
        _stdout?.Complete();
        _stderr?.Complete();
        _socket.Dispose();
        _letGo?.Invoke();
        return ValueTask.CompletedTask;
    }

    private async Task ReceiveAsync()
    {
        byte[] packet = new byte[MostPacketBytes];
        try
        {
            int count;
            while ((count = await _socket.ReceiveAsync(packet, SocketFlags.None).ConfigureAwait(false)) > 0)
            {
                PacketStream? stream = packet[0] switch
                {
                    StdoutMark => _stdout,
                    StderrMark => _stderr,
                    _ => null,
                };
                if (stream is not null && count > 1)
                {
                    await stream.AddAsync(packet.AsMemory(1, count - 1).ToArray()).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or ChannelClosedException)
        {
            // The session's end, from this side or the other.
        }

        _stdout?.Complete();
        _stderr?.Complete();
    }

    /// <summary>Input, in pieces that conmon takes whole.</summary>
    private sealed class InputStream(Socket socket) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                for (; buffer.Length > 0; buffer = buffer[Math.Min(buffer.Length, MostInputBytes)..])
                {
                    await socket.SendAsync(buffer[..Math.Min(buffer.Length, MostInputBytes)], SocketFlags.None, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (SocketException e)
            {
                throw new IOException("The process takes no more input.", e);
            }
        }

        public override void Flush()
        {
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It has ended already.
            }

            base.Dispose(disposing);
        }
    }

    /// <summary>Output, as packets come.</summary>
    private sealed class PacketStream : Stream
    {
        private readonly Channel<byte[]> _packets = Channel.CreateBounded<byte[]>(PacketsAhead);
        private ReadOnlyMemory<byte> _current;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public ValueTask AddAsync(byte[] packet) => _packets.Writer.WriteAsync(packet);

        public void Complete() => _packets.Writer.TryComplete();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (_current.IsEmpty)
            {
                if (!await _packets.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    return 0;
                }

                if (_packets.Reader.TryRead(out byte[]? packet))
                {
                    _current = packet;
                }
            }

            int count = Math.Min(buffer.Length, _current.Length);
            _current[..count].CopyTo(buffer);
            _current = _current[count..];
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

/// <summary>conmon's control FIFO.</summary>
internal static class ConmonControl
{
    /// <summary>Writes a line; a conmon that is gone is no error, as then there is nothing to be controlled.</summary>
    public static void Write(string path, string line)
    {
        try
        {
            using FileDescriptor control = FileDescriptor.Open(path, Fcntl.O_WRONLY | Fcntl.O_NONBLOCK);
            _ = Pipe.Write(control, System.Text.Encoding.ASCII.GetBytes(line));
        }
        catch (LinuxException e) when (e.Errno is Errno.ENXIO or Errno.ENOENT)
        {
        }
    }
}
