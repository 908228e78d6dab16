namespace Hearth.Programs.Hearth.Logs;

/// <summary>What of a log is wanted, and how.</summary>
internal sealed record LogReading
{
    /// <summary>The last lines only; null for all.</summary>
    public long? Tail { get; init; }

    /// <summary>Nothing that was written before.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Each line's time before it.</summary>
    public bool Timestamps { get; init; }

    /// <summary>When this has completed, what is written by then is the last; null: what is there now is.</summary>
    public Task? Until { get; init; }
}

/// <summary>
/// Reads a container's log as it is written, over its rotation: the old file to its end, then the new one. One that does
/// not fit the format is given on as it is. Thread: one at a time.
/// </summary>
internal sealed class LogReader
{
    private const int BlockBytes = 64 * 1024;
    private const int LargestRecordBytes = 16 << 20;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(40);

    private readonly string _path;
    private readonly LogReading _reading;
    private readonly Stream _output;
    private readonly Stream _errors;
    // The beginning of a record whose end is not written yet.
    private byte[] _pending = new byte[BlockBytes];
    private int _pendingBytes;
    private bool _outputInLine;
    private bool _errorsInLine;

    private LogReader(string path, LogReading reading, Stream output, Stream errors)
    {
        _path = path;
        _reading = reading;
        _output = output;
        _errors = errors;
    }

    /// <param name="path">The log.</param>
    /// <param name="reading">What of it.</param>
    /// <param name="output">Gets what was written to standard output.</param>
    /// <param name="errors">Likewise.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="CommandLineException">There is no log.</exception>
    public static Task ReadAsync(string path, LogReading reading, Stream output, Stream errors, CancellationToken cancellation) =>
        new LogReader(path, reading, output, errors).RunAsync(cancellation);

    private async Task RunAsync(CancellationToken cancellation)
    {
        FileStream? log = await OpenAsync(cancellation);
        try
        {
            if (_reading.Tail is { } tail && log is not null)
            {
                log.Position = LogTail.OffsetOf(log, tail);
            }

            while (log is not null)
            {
                bool last = _reading.Until?.IsCompleted ?? true;
                // Before the read: whoever writes has the old file until there is a new one.
                bool replaced = IsRotated(log) && File.Exists(_path);
                await DrainAsync(log, cancellation);
                if (replaced)
                {
                    Flush();
                    await log.DisposeAsync();
                    log = TryOpen();
                    continue;
                }

                if (last)
                {
                    Flush();
                    return;
                }

                await Task.WhenAny(_reading.Until!, Task.Delay(s_poll, cancellation));
                cancellation.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            log?.Dispose();
        }
    }

    // The log of a container that is just starting may not be there yet.
    private async Task<FileStream?> OpenAsync(CancellationToken cancellation)
    {
        while (true)
        {
            bool last = _reading.Until?.IsCompleted ?? true;
            if (TryOpen() is { } log)
            {
                return log;
            }

            if (last)
            {
                return _reading.Until is null ? throw new CommandLineException($"There is no log {_path}. It was removed, or this container has never been started.") : null;
            }

            await Task.WhenAny(_reading.Until!, Task.Delay(s_poll, cancellation));
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private FileStream? TryOpen()
    {
        try
        {
            return new FileStream(_path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 });
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
    }

    // Whoever rotates logs renames them: the open file then has another name than it was opened by.
    private bool IsRotated(FileStream log) =>
        new FileInfo($"/proc/self/fd/{log.SafeFileHandle.DangerousGetHandle()}").LinkTarget is { } now && now != new FileInfo(_path).FullName;

    private async Task DrainAsync(FileStream log, CancellationToken cancellation)
    {
        if (log.Length < log.Position)
        {
            // Cut off in place, which some tools do instead of renaming.
            log.Position = 0;
            _pendingBytes = 0;
        }

        while (true)
        {
            if (_pendingBytes == _pending.Length)
            {
                if (_pendingBytes >= LargestRecordBytes)
                {
                    Flush();
                }
                else
                {
                    Array.Resize(ref _pending, _pending.Length * 2);
                }
            }

            int read = await log.ReadAsync(_pending.AsMemory(_pendingBytes), cancellation);
            if (read == 0)
            {
                return;
            }

            int from = _pendingBytes;
            _pendingBytes += read;
            HandleRecords(from);
        }
    }

    private void HandleRecords(int searchFrom)
    {
        int start = 0;
        while (_pending.AsSpan(searchFrom, _pendingBytes - searchFrom).IndexOf((byte)'\n') is >= 0 and int at)
        {
            Handle(_pending.AsSpan(start, searchFrom + at - start), true);
            start = searchFrom + at + 1;
            searchFrom = start;
        }

        _pending.AsSpan(start, _pendingBytes - start).CopyTo(_pending);
        _pendingBytes -= start;
        _output.Flush();
        _errors.Flush();
    }

    // What is left at the end has no line feed: a writer was killed.
    private void Flush()
    {
        if (_pendingBytes > 0)
        {
            Handle(_pending.AsSpan(0, _pendingBytes), false);
            _pendingBytes = 0;
            _output.Flush();
            _errors.Flush();
        }
    }

    private void Handle(ReadOnlySpan<byte> record, bool whole)
    {
        if (!LogLine.TryParse(record, out LogLine line))
        {
            _output.Write(record);
            WriteEnd(_output, whole);
            return;
        }

        if (_reading.Since is { } since && line.Time < since)
        {
            return;
        }

        Stream target = line.IsError ? _errors : _output;
        ref bool inLine = ref line.IsError ? ref _errorsInLine : ref _outputInLine;
        if (_reading.Timestamps && !inLine)
        {
            target.Write(line.TimeText);
            target.Write(" "u8);
        }

        target.Write(line.Content);
        WriteEnd(target, whole && !line.IsPartial);
        inLine = line.IsPartial;
    }

    private static void WriteEnd(Stream target, bool whole)
    {
        if (whole)
        {
            target.Write("\n"u8);
        }
    }
}
