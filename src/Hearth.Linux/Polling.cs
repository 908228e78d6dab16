using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>Reads and writes of descriptors that may be anything: a terminal, a pipe, a file.</summary>
public static unsafe class Polling
{
    // What a pipe that polls as writable is sure to take at once (PIPE_BUF).
    private const int SafeWrite = 4096;

    /// <summary>
    /// Writes as much as will not block, without changing the descriptor's own blocking mode, which other processes
    /// may share. 0 if it is not ready; a descriptor that is gone or broken takes everything, because nobody reads.
    /// </summary>
    public static int WriteWithoutBlocking(FileDescriptor fd, ReadOnlySpan<byte> data)
    {
        var poll = new pollfd { fd = fd.Number, events = Poll.POLLOUT };
        // SAFETY: one pollfd on this stack, count 1.
        if (Poll.poll(&poll, 1, 0) <= 0)
        {
            return 0;
        }

        fixed (byte* p = data)
        {
            // SAFETY: the span is pinned and the length is within it.
            nint written = Unistd.write(fd.Number, p, (nuint)Math.Min(data.Length, SafeWrite));
            if (written >= 0)
            {
                return (int)written;
            }
        }

        return LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR ? 0 : data.Length;
    }

    /// <summary>Waits until there is something to read from <paramref name="fd"/>, or its other end has gone.</summary>
    /// <param name="fd">A socket or pipe.</param>
    /// <param name="timeoutMs">The longest wait; 0 looks and does not wait.</param>
    /// <returns>False where the time is up.</returns>
    public static bool WaitReadable(FileDescriptor fd, int timeoutMs) => Wait(fd, Poll.POLLIN, timeoutMs) != 0;

    /// <summary>As <see cref="WaitReadable"/>, until there is room to write.</summary>
    public static bool WaitWritable(FileDescriptor fd, int timeoutMs) => Wait(fd, Poll.POLLOUT, timeoutMs) != 0;

    /// <summary>Whether the other end of a socket has gone or will send no more.</summary>
    public static bool HasHungUp(FileDescriptor fd) => (Wait(fd, Poll.POLLRDHUP, 0) & (Poll.POLLHUP | Poll.POLLRDHUP)) != 0;

    /// <summary>One read(2): the number of bytes, 0 at the end, -1 with the error in <see cref="LinuxException.LastErrno"/>.</summary>
    public static int Read(FileDescriptor fd, Span<byte> destination)
    {
        fixed (byte* p = destination)
        {
            // SAFETY: the span is pinned and the length is its own.
            return (int)Unistd.read(fd.Number, p, (nuint)destination.Length);
        }
    }

    // A wait cut short by a signal counts as time up: callers look at their own clock and come again.
    private static short Wait(FileDescriptor fd, short events, int timeoutMs)
    {
        var poll = new pollfd { fd = fd.Number, events = events };
        // SAFETY: one pollfd on this stack, count 1.
        return Poll.poll(&poll, 1, timeoutMs) > 0 ? poll.revents : (short)0;
    }
}
