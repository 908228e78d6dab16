using System.Runtime.InteropServices;

namespace Hearth.Linux;

/// <summary>The error numbers that Hearth's code tells apart. Source: asm-generic/errno-base.h, errno.h.</summary>
public enum Errno
{
    None = 0,
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EIO = 5,
    ENXIO = 6,
    E2BIG = 7,
    ENOEXEC = 8,
    ECHILD = 10,
    EBADF = 9,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EEXIST = 17,
    ENODEV = 19,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    ENOTTY = 25,
    EFBIG = 27,
    ENOSPC = 28,
    EPIPE = 32,
    EROFS = 30,
    ENAMETOOLONG = 36,
    ENOSYS = 38,
    ELOOP = 40,
    ENOTSUP = 95,
    EAFNOSUPPORT = 97,
    EADDRINUSE = 98,
    ECONNRESET = 104,
    ENOBUFS = 105,
    ENOTCONN = 107,
    ECONNREFUSED = 111,
    EINPROGRESS = 115,
}

/// <summary>A failed system call: its name, what it was asked to do, and the error number.</summary>
public sealed class LinuxException : HearthException
{
    /// <param name="call">The call and its telling argument, as a person would read it: <c>open("/dev/kvm")</c>.</param>
    /// <param name="errno">What the kernel answered.</param>
    /// <param name="remedy">What the user can do about it; null where there is nothing to say.</param>
    public LinuxException(string call, Errno errno, string? remedy = null)
        : base(Format(call, errno, remedy))
    {
        Call = call;
        Errno = errno;
    }

    /// <summary>The call that failed.</summary>
    public string Call { get; }

    /// <summary>What the kernel answered.</summary>
    public Errno Errno { get; }

    /// <summary>Only why: <c>No such file or directory (os error 2)</c>.</summary>
    public string Reason => $"{Describe(Errno)} (os error {(int)Errno})";

    /// <summary>The error of the last <c>SetLastError</c> call on this thread.</summary>
    public static Errno LastErrno => (Errno)Marshal.GetLastPInvokeError();

    /// <summary>Builds the exception for the last failed call on this thread.</summary>
    public static LinuxException Last(string call, string? remedy = null) => new(call, LastErrno, remedy);

    /// <summary>The kernel's own words for an error number: <c>No such file or directory</c>.</summary>
    public static string Describe(Errno errno) => Marshal.GetPInvokeErrorMessage((int)errno);

    private static string Format(string call, Errno errno, string? remedy)
    {
        string text = $"{call} failed: {Describe(errno)} (os error {(int)errno}).";
        return remedy is null ? text : $"{text} {remedy}";
    }
}
