using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>The calling process, about to become another program.</summary>
public static unsafe class ProcessImage
{
    /// <summary>A session of its own, without a terminal. Already having one is no error.</summary>
    public static void StartSession() => _ = Unistd.setsid();

    /// <returns>The mask that was.</returns>
    public static uint SetFileModeMask(uint mask) => Unistd.umask(mask);

    public static void ChangeDirectory(string path) => FileDescriptor.Check(Unistd.chdir(path), $"chdir(\"{path}\")");

    /// <summary>Makes <paramref name="fd"/> descriptor <paramref name="number"/>, which stays open in the next program.</summary>
    public static void Duplicate(FileDescriptor fd, int number) => FileDescriptor.Check(Unistd.dup3(fd.Number, number, 0), $"dup3({number})");

    /// <summary>Lets the next program have descriptors 0, 1 and 2 only (Linux 5.11; before, each is close-on-exec by itself).</summary>
    public static void KeepStandardDescriptorsOnly()
    {
        const uint closeRangeCloexec = 4;
        _ = SysSyscall.syscall(SysSyscall.SYS_close_range, 3, unchecked((nint)uint.MaxValue), (nint)closeRangeCloexec, 0, 0);
    }

    /// <summary>Closes every descriptor from 3 on, those of the runtime too: for the first line of a program (Linux 5.9).</summary>
    public static void CloseInheritedDescriptors()
    {
        if (SysSyscall.syscall(SysSyscall.SYS_close_range, 3, unchecked((nint)uint.MaxValue), 0, 0, 0) < 0)
        {
            throw LinuxException.Last("close_range(3, ~0)", "Linux 5.10 is the oldest that Hearth runs on.");
        }
    }

    /// <summary>Whether this process leads its session: at its end the session's processes may get SIGHUP.</summary>
    public static bool LeadsSession => Unistd.getsid(0) == Unistd.getpid();

    /// <summary>Marks an inherited descriptor close-on-exec and takes it over.</summary>
    public static FileDescriptor Adopt(int number)
    {
        KeepOpenOnlyHere(number);
        return new FileDescriptor(number);
    }

    /// <summary>Marks an inherited descriptor close-on-exec.</summary>
    public static void KeepOpenOnlyHere(int number) => FileDescriptor.Check(Fcntl.fcntl(number, Fcntl.F_SETFD, Fcntl.FD_CLOEXEC), $"fcntl({number})");

    /// <summary>
    /// Replaces the process. All signals get their default disposition and none is blocked: the runtime ignores SIGPIPE, and
    /// what is ignored stays so over an exec. The seccomp filter, if any, is installed with nothing but the exec after it.
    /// </summary>
    /// <returns>Only if it failed: why.</returns>
    public static Errno Execute(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, ReadOnlySpan<sock_filter> filter, uint filterFlags)
    {
        using var file = new NativeStrings([path]);
        using var argv = new NativeStrings(arguments);
        using var envp = new NativeStrings(environment);
        sigaction_t byDefault = default;
        sigset_t none = default;
        for (int signal = 1; signal <= 64; signal++)
        {
            // SAFETY: `byDefault` is SIG_DFL with an empty mask. Some signals refuse, and have no other disposition.
            _ = Signals.sigaction(signal, &byDefault, null);
        }

        // SAFETY: `none` lives on this stack for the whole call.
        _ = Signals.sigprocmask(Signals.SIG_SETMASK, &none, null);
        if (!filter.IsEmpty)
        {
            Credentials.InstallFilter(filter, filterFlags);
        }

        // SAFETY: zero-terminated arrays of zero-terminated strings that live until this method ends.
        _ = Unistd.execve(file.Pointer[0], argv.Pointer, envp.Pointer);
        return (Errno)Marshal.GetLastPInvokeError();
    }

    public static void SetHostName(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        fixed (byte* p = bytes)
        {
            // SAFETY: pinned, and its length is its own.
            FileDescriptor.Check(Unistd.sethostname(p, (nuint)bytes.Length), $"sethostname(\"{name}\")");
        }
    }

    public static void SetDomainName(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        fixed (byte* p = bytes)
        {
            // SAFETY: pinned, and its length is its own.
            FileDescriptor.Check(Unistd.setdomainname(p, (nuint)bytes.Length), $"setdomainname(\"{name}\")");
        }
    }
}
