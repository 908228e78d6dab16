using System.Buffers.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Streams;

/// <summary>
/// A container's log in CRI's format, both outputs in one file: <c>TIME stdout F LINE</c>. A line longer than
/// <see cref="MaxLine"/> is written in pieces marked <c>P</c>, the last of them <c>F</c>. What has no end of line yet waits, up to
/// that length; the end of an output ends its last line. Writing allocates nothing. Thread: any.
/// Source: the kubelet's design of CRI logging.
/// </summary>
internal sealed class CriLog : IDisposable
{
    /// <summary>Bytes of a line, or of a piece of one.</summary>
    public const int MaxLine = 16 << 10;

    private const int TimeLength = 30;
    private const int PrefixLength = TimeLength + 1 + 6 + 1 + 1 + 1;
    private const uint OwnerWritesGroupReads = 0x1A0;

    private readonly string _path;
    private readonly TimeProvider _clock;

    // Guards everything below, and the writers' pieces.
    private readonly Lock _lock = new();
    private readonly byte[] _buffer = new byte[2 * (PrefixLength + MaxLine + 1)];
    private readonly byte[] _time = new byte[TimeLength];
    private int _length;
    private FileDescriptor _file;
    private long _lost;

    /// <exception cref="LinuxException">The file cannot be opened.</exception>
    public CriLog(string path, TimeProvider? clock = null)
    {
        _path = path;
        _clock = clock ?? TimeProvider.System;
        _file = Open(path);
    }

    /// <summary>Bytes that could not be written: the disk is full, or gone.</summary>
    public long Lost
    {
        get
        {
            lock (_lock)
            {
                return _lost;
            }
        }
    }

    /// <summary>A writer for one of the outputs.</summary>
    public Writer CreateWriter(bool errors) => new(this, errors ? "stderr"u8.ToArray() : "stdout"u8.ToArray());

    /// <summary>Goes on in a new file at the same path: the one that was there has been renamed.</summary>
    /// <exception cref="LinuxException">It cannot be opened; the old one is written on.</exception>
    public void Reopen()
    {
        FileDescriptor file = Open(_path);
        FileDescriptor old;
        lock (_lock)
        {
            Flush();
            (old, _file) = (_file, file);
        }

        old.Dispose();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            Flush();
            _file.Dispose();
        }
    }

    private static FileDescriptor Open(string path) => FileDescriptor.Open(
        path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, OwnerWritesGroupReads, "Does the folder of the container's log exist?");

    private void Emit(ReadOnlySpan<byte> stream, bool whole, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        if (_buffer.Length - _length < PrefixLength + first.Length + second.Length + 1)
        {
            Flush();
        }

        Put(_time);
        Put(" "u8);
        Put(stream);
        Put(whole ? " F "u8 : " P "u8);
        Put(first);
        Put(second);
        Put("\n"u8);
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
    }

    // Lines are written whole, and what a full disk does not take is lost rather than kept: a container is not stopped for its log.
    private void Flush()
    {
        int start = 0;
        while (start < _length)
        {
            int count = Pipe.Write(_file, _buffer.AsSpan(start, _length - start));
            if (count > 0)
            {
                start += count;
            }
            else if (count == 0 || LinuxException.LastErrno != Errno.EINTR)
            {
                _lost += _length - start;
                break;
            }
        }

        _length = 0;
    }

    private void TellTime()
    {
        const int fraction = 20;
        DateTimeOffset now = _clock.GetUtcNow();
        // 2026-11-25T22:28:00.0000000Z; of the nine digits that readers expect, the last two are below the clock's step.
        _ = now.UtcDateTime.TryFormat(_time, out _, "yyyy-MM-ddTHH:mm:ss.", System.Globalization.CultureInfo.InvariantCulture);
        _ = Utf8Formatter.TryFormat(now.Ticks % TimeSpan.TicksPerSecond * 100, _time.AsSpan(fraction), out _, new System.Buffers.StandardFormat('D', 9));
        _time[^1] = (byte)'Z';
    }

    /// <summary>One output's way into the log. Thread: one at a time.</summary>
    internal sealed class Writer(CriLog log, byte[] stream)
    {
        private byte[] _rest = [];
        private int _restLength;

        /// <summary>Takes a piece of the output, and writes the lines that are whole.</summary>
        public void Write(ReadOnlySpan<byte> output)
        {
            lock (log._lock)
            {
                log.TellTime();
                while (!output.IsEmpty)
                {
                    int end = output.IndexOf((byte)'\n');
                    ReadOnlySpan<byte> part = end < 0 ? output : output[..end];
                    while (_restLength + part.Length > MaxLine)
                    {
                        int room = MaxLine - _restLength;
                        log.Emit(stream, whole: false, _rest.AsSpan(0, _restLength), part[..room]);
                        part = part[room..];
                        _restLength = 0;
                    }

                    if (end < 0)
                    {
                        Keep(part);
                        break;
                    }

                    log.Emit(stream, whole: true, _rest.AsSpan(0, _restLength), part);
                    _restLength = 0;
                    output = output[(end + 1)..];
                }

                log.Flush();
            }
        }

        /// <summary>The output's end: a line without an end is written as it is.</summary>
        public void End()
        {
            lock (log._lock)
            {
                if (_restLength > 0)
                {
                    log.TellTime();
                    log.Emit(stream, whole: true, _rest.AsSpan(0, _restLength), []);
                    _restLength = 0;
                    log.Flush();
                }
            }
        }

        private void Keep(ReadOnlySpan<byte> part)
        {
            if (_rest.Length == 0)
            {
                // Once, for a program that writes lines in pieces.
                _rest = new byte[MaxLine];
            }

            part.CopyTo(_rest.AsSpan(_restLength));
            _restLength += part.Length;
        }
    }
}
