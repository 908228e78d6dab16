using System.Globalization;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>The near side of a pseudo-terminal. Thread: any. Source: pts(4), ioctl_tty(2).</summary>
public sealed unsafe class TerminalMaster : FileDescriptor
{
    private static readonly ulong s_ptmx = RootDirectory.Device(5, 2);

    /// <param name="fd">Takes the number over.</param>
    public TerminalMaster(int fd)
        : base(fd)
    {
    }

    /// <summary>
    /// Makes a pseudo-terminal by a multiplexer in someone else's file system.
    /// </summary>
    /// <param name="root">That file system.</param>
    /// <param name="descriptors">/proc/self/fd of a /proc that is not someone else's.</param>
    /// <exception cref="LinuxException">What is there is no multiplexer of a devpts.</exception>
    public static TerminalMaster Open(RootDirectory root, FileDescriptor descriptors)
    {
        foreach (string path in (string[])["/dev/pts/ptmx", "/dev/ptmx"])
        {
            using FileDescriptor? found = root.TryOpen(path, Fcntl.O_PATH);
            // Looked at before it is opened for real: opening some devices does things.
            if (found is not null && FileStatus.Of(found) is { IsCharacterDevice: true } status && status.Device == s_ptmx)
            {
                string number = found.Number.ToString(CultureInfo.InvariantCulture);
                return new TerminalMaster(Check(
                    Fcntl.openat(descriptors.Number, number, Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_CLOEXEC, 0), $"open(\"{path}\")"));
            }
        }

        throw new LinuxException("open(\"/dev/pts/ptmx\")", Errno.ENODEV, "A terminal needs a devpts mounted at /dev/pts.");
    }

    /// <summary>Opens the far side without looking its name up anywhere.</summary>
    public FileDescriptor OpenPeer()
    {
        int unlocked = 0;
        // SAFETY: TIOCSPTLCK reads one int from this stack.
        Check(Fcntl.ioctl(Number, TtyIoctls.TIOCSPTLCK, (nint)(&unlocked)), "ioctl(TIOCSPTLCK)");
        return new FileDescriptor(Check(Fcntl.ioctl(Number, TtyIoctls.TIOCGPTPEER, Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_CLOEXEC), "ioctl(TIOCGPTPEER)"));
    }

    public void Resize(ushort columns, ushort rows)
    {
        var size = new winsize { ws_col = columns, ws_row = rows };
        // SAFETY: TIOCSWINSZ reads one winsize from this stack.
        Check(Fcntl.ioctl(Number, TtyIoctls.TIOCSWINSZ, (nint)(&size)), "ioctl(TIOCSWINSZ)");
    }

    /// <summary>Gives a far side to a user; its group stays.</summary>
    public static void SetOwner(FileDescriptor peer, uint user) => Check(Unistd.fchown(peer.Number, user, uint.MaxValue), "fchown(terminal)");

    /// <summary>Makes a far side the calling session's terminal.</summary>
    public static void TakeAsControlling(FileDescriptor peer) => Check(Fcntl.ioctl(peer.Number, TtyIoctls.TIOCSCTTY, 0), "ioctl(TIOCSCTTY)");
}
