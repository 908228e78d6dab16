using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>Children by posix_spawn(3) and waitid(2): no managed code runs between fork and exec.</summary>
public static unsafe class ChildProcess
{
    /// <summary>What <see cref="WaitAny"/> gives back where this process has no children.</summary>
    public const int None = 0;

    /// <summary>
    /// Starts a program in the calling thread's namespaces for children, with an empty signal mask and default dispositions.
    /// </summary>
    /// <param name="path">The program's file; no search.</param>
    /// <param name="arguments">argv, its first element too.</param>
    /// <param name="environment"><c>NAME=value</c>.</param>
    /// <param name="descriptors">What the child has as descriptors 0, 1, 2...; all others that are close-on-exec are closed.</param>
    /// <param name="newSession">It leads a session of its own, and outlives this one's terminal.</param>
    /// <param name="directory">Its working directory; null for this process's.</param>
    /// <returns>Its process id, as this process sees it.</returns>
    /// <exception cref="LinuxException">It cannot be started.</exception>
    public static int Spawn(
        string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, IReadOnlyList<FileDescriptor> descriptors, bool newSession = false,
        string? directory = null)
    {
        var parked = new List<FileDescriptor>(descriptors.Count);
        using var argv = new NativeStrings(arguments);
        using var envp = new NativeStrings(environment);
        using var file = new NativeStrings([path]);
        using var folder = new NativeStrings(directory is null ? [] : [directory]);
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t all = default;
        sigset_t none = default;
        for (int i = 0; i < 16; i++)
        {
            all.bits[i] = ulong.MaxValue;
        }

        // SAFETY: both are initialised before any other use and live on this stack until they are destroyed.
        Check(Spawning.posix_spawn_file_actions_init(&actions), path);
        Check(Spawning.posix_spawnattr_init(&attributes), path);
        try
        {
            // From beyond the last number that is given, so that none is overwritten before it is used.
            for (int i = 0; i < descriptors.Count; i++)
            {
                var copy = new FileDescriptor(FileDescriptor.Check(Fcntl.fcntl(descriptors[i].Number, Fcntl.F_DUPFD_CLOEXEC, descriptors.Count), "fcntl(F_DUPFD_CLOEXEC)"));
                parked.Add(copy);
                Check(Spawning.posix_spawn_file_actions_adddup2(&actions, copy.Number, i), path);
            }

            if (directory is not null)
            {
                Check(Spawning.posix_spawn_file_actions_addchdir_np(&actions, folder.Pointer[0]), path);
            }

            int flags = Spawning.POSIX_SPAWN_SETSIGDEF | Spawning.POSIX_SPAWN_SETSIGMASK | (newSession ? Spawning.POSIX_SPAWN_SETSID : 0);
            Check(Spawning.posix_spawnattr_setflags(&attributes, (short)flags), path);
            Check(Spawning.posix_spawnattr_setsigdefault(&attributes, &all), path);
            Check(Spawning.posix_spawnattr_setsigmask(&attributes, &none), path);
            int pid;
            // SAFETY: the strings and descriptors live until the end of this method; the child has its own memory by then.
            Check(Spawning.posix_spawn(&pid, file.Pointer[0], &actions, &attributes, argv.Pointer, envp.Pointer), path);
            return pid;
        }
        finally
        {
            _ = Spawning.posix_spawn_file_actions_destroy(&actions);
            _ = Spawning.posix_spawnattr_destroy(&attributes);
            foreach (FileDescriptor copy in parked)
            {
                copy.Dispose();
            }
        }
    }

    /// <summary>Waits for any child to end, and leaves it a zombie, so that its id is not used again yet.</summary>
    /// <returns>Its process id; <see cref="None"/> if there are no children.</returns>
    public static int WaitAny()
    {
        siginfo_t info = default;
        // SAFETY: waitid fills one siginfo on this stack.
        while (SysWait.waitid(SysWait.P_ALL, 0, &info, SysWait.WEXITED | SysWait.WNOWAIT) < 0)
        {
            if (LinuxException.LastErrno != Errno.EINTR)
            {
                return None;
            }
        }

        return info.si_pid;
    }

    /// <summary>Takes a zombie away.</summary>
    /// <returns>Its exit code, or 128 and the number of the signal that ended it.</returns>
    public static int Reap(int pid)
    {
        siginfo_t info = default;
        // SAFETY: as above.
        FileDescriptor.Check(SysWait.waitid(SysWait.P_PID, (uint)pid, &info, SysWait.WEXITED), $"waitid({pid})");
        return info.si_code == SysWait.CLD_EXITED ? info.si_status : 128 + info.si_status;
    }

    /// <summary>A descriptor that stands for a child that has not been reaped, whatever happens to its id.</summary>
    public static FileDescriptor OpenPidfd(int pid)
    {
        long fd = SysSyscall.syscall(SysSyscall.SYS_pidfd_open, pid, 0, 0, 0, 0);
        return fd >= 0 ? new FileDescriptor((int)fd) : throw LinuxException.Last($"pidfd_open({pid})");
    }

    /// <summary>Sends a signal to the process of a pidfd; false if it has ended.</summary>
    public static bool Signal(FileDescriptor pidfd, int signal)
    {
        if (SysSyscall.syscall(SysSyscall.SYS_pidfd_send_signal, pidfd.Number, signal, 0, 0, 0) >= 0)
        {
            return true;
        }

        return LinuxException.LastErrno == Errno.ESRCH ? false : throw LinuxException.Last($"pidfd_send_signal({signal})");
    }

    /// <summary>Takes orphans of children in, as process 1 does of itself.</summary>
    public static void BecomeSubreaper() =>
        FileDescriptor.Check(SysPrctl.prctl(SysPrctl.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)");

    private static void Check(int errno, string path)
    {
        if (errno != 0)
        {
            throw new LinuxException($"posix_spawn(\"{path}\")", (Errno)errno);
        }
    }
}
