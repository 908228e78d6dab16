using System.Runtime.InteropServices;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Linux;

/// <summary>
/// A terminal in raw mode: each byte goes through as it is, Ctrl-C too. It gets its old mode back on
/// <see cref="Dispose"/>, on <c>Environment.Exit</c>, after an unhandled exception, and when a signal ends the process
/// (<see cref="TerminalRestorer"/> says how). SIGKILL, a memory fault in native code and a stack overflow leave it raw:
/// <c>reset</c> in the shell repairs that.
/// <para>Thread: one at a time; at most one object a terminal.</para>
/// </summary>
public sealed unsafe class RawTerminal : IDisposable
{
    private static readonly (int Number, PosixSignal Signal)[] s_managedSignals =
    [
        (Signals.SIGHUP, PosixSignal.SIGHUP),
        (Signals.SIGINT, PosixSignal.SIGINT),
        (Signals.SIGQUIT, PosixSignal.SIGQUIT),
        (Signals.SIGTERM, PosixSignal.SIGTERM),
    ];

    private readonly FileDescriptor _terminal;
    private readonly TerminalRestorer _restorer;
    private readonly EventHandler _onExit;
    private readonly UnhandledExceptionEventHandler _onUnhandled;
    private readonly List<PosixSignalRegistration> _signals = [];
    private termios _before;
    private int _restored;

    private RawTerminal(FileDescriptor terminal, termios before)
    {
        _terminal = terminal;
        _before = before;
        _restorer = new TerminalRestorer(terminal.Number, before);
        SyscallTrap.SetTerminal(terminal.Number, before);
        _onExit = (_, _) => Restore();
        _onUnhandled = (_, _) => Restore();
        AppDomain.CurrentDomain.ProcessExit += _onExit;
        AppDomain.CurrentDomain.UnhandledException += _onUnhandled;
        RegisterSignals();
    }

    /// <summary>Makes a terminal raw, as <c>cfmakeraw(3)</c> does.</summary>
    /// <param name="terminal">Not owned; open until the object is disposed.</param>
    /// <returns>Null where it is no terminal, or one that another process group uses just now.</returns>
    public static RawTerminal? TryEnter(FileDescriptor terminal)
    {
        termios before;
        if (!IsForeground(terminal) || !Get(terminal, &before))
        {
            return null;
        }

        var raw = new RawTerminal(terminal, before);
        termios mode = Raw(before);
        if (!Set(terminal, &mode))
        {
            raw.Dispose();
            return null;
        }

        return raw;
    }

    /// <summary>Makes a terminal raw that nobody needs in its mode of before: one that was just made.</summary>
    /// <exception cref="LinuxException">It is no terminal.</exception>
    public static void MakeRaw(FileDescriptor terminal)
    {
        termios mode;
        if (Get(terminal, &mode))
        {
            mode = Raw(mode);
            if (Set(terminal, &mode))
            {
                return;
            }
        }

        throw LinuxException.Last("ioctl(TCSETS)");
    }

    // As cfmakeraw(3).
    private static termios Raw(termios mode)
    {
        mode.c_iflag &= ~(Termbits.IGNBRK | Termbits.BRKINT | Termbits.PARMRK | Termbits.ISTRIP
            | Termbits.INLCR | Termbits.IGNCR | Termbits.ICRNL | Termbits.IXON);
        mode.c_oflag &= ~Termbits.OPOST;
        mode.c_lflag &= ~(Termbits.ECHO | Termbits.ECHONL | Termbits.ICANON | Termbits.ISIG | Termbits.IEXTEN);
        mode.c_cflag = (mode.c_cflag & ~(Termbits.CSIZE | Termbits.PARENB)) | Termbits.CS8;
        mode.c_cc[Termbits.VMIN] = 1;
        mode.c_cc[Termbits.VTIME] = 0;
        return mode;
    }

    public static bool IsTerminal(FileDescriptor fd)
    {
        termios mode;
        return Get(fd, &mode);
    }

    /// <summary>
    /// Whether this process may use the terminal: it is one, and not in another process group's hands. A process in
    /// the background that reads or sets its terminal is stopped by the kernel.
    /// </summary>
    public static bool IsForeground(FileDescriptor terminal)
    {
        if (!IsTerminal(terminal))
        {
            return false;
        }

        int foreground;
        // SAFETY: TIOCGPGRP writes one int, to this stack.
        int result = Fcntl.ioctl(terminal.Number, Termbits.TIOCGPGRP, (nint)(&foreground));

        // ENOTTY: not the terminal of this session, so job control has no say.
        return result < 0 || foreground == Unistd.getpgrp();
    }

    /// <summary>How large a terminal is, in characters; null where it is none, or does not know.</summary>
    public static (ushort Columns, ushort Rows)? SizeOf(FileDescriptor terminal)
    {
        winsize size;
        // SAFETY: TIOCGWINSZ writes one winsize, to this stack.
        return Fcntl.ioctl(terminal.Number, TtyIoctls.TIOCGWINSZ, (nint)(&size)) == 0 && size is { ws_col: > 0, ws_row: > 0 }
            ? (size.ws_col, size.ws_row)
            : null;
    }

    public void Dispose()
    {
        Restore();
        AppDomain.CurrentDomain.ProcessExit -= _onExit;
        AppDomain.CurrentDomain.UnhandledException -= _onUnhandled;
        foreach (PosixSignalRegistration signal in _signals)
        {
            signal.Dispose();
        }
    }

    // Where someone else has a handler already (the JIT runtime, PosixSignalRegistration), managed code learns of the
    // signal on a thread of the runtime's, and what else was to happen still does.
    private void RegisterSignals()
    {
        foreach ((int number, PosixSignal signal) in s_managedSignals)
        {
            if (!_restorer.Covers(number))
            {
                _signals.Add(PosixSignalRegistration.Create(signal, _ => Restore()));
            }
        }
    }

    private void Restore()
    {
        if (Interlocked.Exchange(ref _restored, 1) != 0)
        {
            return;
        }

        // In the background, the shell has set its own mode already.
        if (IsForeground(_terminal))
        {
            termios before = _before;
            Set(_terminal, &before);
        }

        SyscallTrap.SetTerminal(-1, default);
        _restorer.Dispose();
    }

    // SAFETY (both): the calls read or write one kernel termios, 36 bytes, which `mode` is (asserted in Hearth.Abi.Tests).
    private static bool Get(FileDescriptor terminal, termios* mode) => Fcntl.ioctl(terminal.Number, Termbits.TCGETS, (nint)mode) == 0;

    private static bool Set(FileDescriptor terminal, termios* mode) => Fcntl.ioctl(terminal.Number, Termbits.TCSETS, (nint)mode) == 0;
}
