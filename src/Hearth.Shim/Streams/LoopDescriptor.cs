using Hearth.Linux;

namespace Hearth.Shim.Streams;

/// <summary>
/// A descriptor that waits: a FIFO or a pipe, read or written without a thread of its own; also a file, which never waits.
/// Thread: any; one reader or one writer at a time.
/// </summary>
internal sealed class LoopDescriptor : IEventHandler, IDisposable
{
    private readonly EventLoop _loop;
    private readonly FileDescriptor _fd;
    private readonly bool _waits;

    // Guards _registration, _waiter and _disposed.
    private readonly Lock _lock = new();
    private EventRegistration? _registration;
    private TaskCompletionSource? _waiter;
    private bool _disposed;

    /// <param name="loop">Where it waits.</param>
    /// <param name="fd">Owned; does not block.</param>
    public LoopDescriptor(EventLoop loop, FileDescriptor fd)
    {
        _loop = loop;
        _fd = fd;
        _waits = !FileStatus.Of(fd).IsRegular;
        if (_waits)
        {
            Pipe.SetNonBlocking(fd);
        }
    }

    /// <summary>Reads what is there, or waits for it; 0 at the end.</summary>
    /// <exception cref="IOException">It cannot be read, or was disposed.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        while (true)
        {
            int count;
            lock (_lock)
            {
                ThrowIfDisposed();
                count = Polling.Read(_fd, buffer.Span);
            }

            if (count >= 0)
            {
                return count;
            }

            await WaitAsync(EpollEvents.In).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until there is something to read, or nobody writes any more.</summary>
    /// <exception cref="IOException">It was disposed, perhaps meanwhile.</exception>
    public async ValueTask WaitReadableAsync()
    {
        await WaitAsync(EpollEvents.In, looked: false).ConfigureAwait(false);
        lock (_lock)
        {
            ThrowIfDisposed();
        }
    }

    /// <summary>Writes everything.</summary>
    /// <exception cref="IOException">It cannot be written, or was disposed.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> content)
    {
        while (!content.IsEmpty)
        {
            int count;
            lock (_lock)
            {
                ThrowIfDisposed();
                count = Pipe.Write(_fd, content.Span);
            }

            if (count >= 0)
            {
                content = content[count..];
            }
            else
            {
                await WaitAsync(EpollEvents.Out).ConfigureAwait(false);
            }
        }
    }

    public void OnReady(EpollEvents events)
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            // Off the loop until somebody waits again: the end of a pipe is told without being asked for, again and again.
            Unregister();
            (waiter, _waiter) = (_waiter, null);
        }

        waiter?.TrySetResult();
    }

    public void Dispose()
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            Unregister();
            _fd.Dispose();
            (waiter, _waiter) = (_waiter, null);
        }

        waiter?.TrySetResult();
    }

    private ValueTask WaitAsync(EpollEvents events, bool looked = true)
    {
        if (looked)
        {
            Errno errno = LinuxException.LastErrno;
            if (errno == Errno.EINTR)
            {
                return ValueTask.CompletedTask;
            }

            if (errno != Errno.EAGAIN)
            {
                throw new IOException(LinuxException.Describe(errno));
            }
        }

        lock (_lock)
        {
            ThrowIfDisposed();
            if (!_waits)
            {
                return ValueTask.CompletedTask;
            }

            _waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _registration = _loop.Add(_fd, events, this);
            return new ValueTask(_waiter.Task);
        }
    }

    private void Unregister()
    {
        if (_registration is { } registration)
        {
            _loop.Remove(registration);
            _registration = null;
        }
    }

    private void ThrowIfDisposed()
    {
        if (_disposed)
        {
            throw new IOException("The stream is closed.");
        }
    }
}
