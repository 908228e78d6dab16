using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// Puts a terminal's mode back when a signal ends the process. Managed code must not run in a signal handler, and
/// libc has no function that a handler could be and that does this, so the handler is 43 bytes of machine code in a
/// page of their own: <c>ioctl(fd, TCSETS, saved)</c>, <c>kill(getpid(), signal)</c>, return. The disposition is back
/// at its default by then (SA_RESETHAND), so the process ends as it would have, with the same status.
/// <para>Only signals that would end the process at once get it: where the runtime, or the program, has a handler
/// (SIGSEGV, for null references), that stays. SIGABRT is taken from the runtime: it is how an unhandled exception ends.</para>
/// </summary>
internal sealed unsafe class TerminalRestorer : IDisposable
{
    private const int SavedOffset = 64;
    private const int DescriptorOffset = 7;

    private readonly List<(int Signal, sigaction_t Before)> _replaced = [];
    private readonly nint _handler;

    public TerminalRestorer(int terminal, termios saved)
    {
        Span<byte> code = stackalloc byte[SavedOffset + sizeof(termios)];
        Handler.CopyTo(code);
        BinaryPrimitives.WriteInt32LittleEndian(code[DescriptorOffset..], terminal);
        MemoryMarshal.Write(code[SavedOffset..], saved);

        // A host that forbids new code goes without: nothing but this comfort depends on it.
        _handler = NativeCode.Map(code);
        if (_handler != 0)
        {
            Install();
        }
    }

    private static ReadOnlySpan<byte> Handler =>
    [
        0x57,                                     // push rdi               the signal
        0xb8, 16, 0, 0, 0,                        // mov eax, ioctl
        0xbf, 0, 0, 0, 0,                         // mov edi, terminal      DescriptorOffset
        0xbe, 0x02, 0x54, 0, 0,                   // mov esi, TCSETS
        0x48, 0x8d, 0x15, SavedOffset - 23, 0, 0, 0, // lea rdx, [rip + …]  SavedOffset, from here at 23
        0x0f, 0x05,                               // syscall
        0xb8, 39, 0, 0, 0,                        // mov eax, getpid
        0x0f, 0x05,                               // syscall
        0x89, 0xc7,                               // mov edi, eax
        0x5e,                                     // pop rsi                the signal
        0xb8, 62, 0, 0, 0,                        // mov eax, kill
        0x0f, 0x05,                               // syscall
        0xc3,                                     // ret: the signal, blocked until now, ends the process
    ];

    private static ReadOnlySpan<int> EndingSignals =>
    [
        Signals.SIGHUP, Signals.SIGINT, Signals.SIGQUIT, Signals.SIGILL, Signals.SIGTRAP, Signals.SIGABRT, Signals.SIGBUS,
        Signals.SIGSEGV, Signals.SIGPIPE, Signals.SIGALRM, Signals.SIGTERM, Signals.SIGXCPU, Signals.SIGXFSZ, Signals.SIGSYS,
    ];

    /// <summary>Whether this signal has the handler.</summary>
    public bool Covers(int signal) => _replaced.Exists(replaced => replaced.Signal == signal);

    /// <summary>Gives the signals back their dispositions of before, except where someone else has taken them over.</summary>
    public void Dispose()
    {
        foreach ((int signal, sigaction_t before) in _replaced)
        {
            sigaction_t now;
            sigaction_t back = before;
            // SAFETY: both live on this stack for the whole call.
            if (Signals.sigaction(signal, null, &now) == 0 && now.sa_handler == _handler)
            {
                _ = Signals.sigaction(signal, &back, null);
            }
        }

        _replaced.Clear();
    }

    private void Install()
    {
        var action = new sigaction_t { sa_handler = _handler, sa_flags = unchecked((int)Signals.SA_RESETHAND) };
        for (int i = 0; i < 16; i++)
        {
            // All signals wait while it runs: SIGTTOU too, which would stop a process in the background.
            action.sa_mask[i] = ulong.MaxValue;
        }

        foreach (int signal in EndingSignals)
        {
            sigaction_t before;
            // SAFETY: both live on this stack for the whole call; the handler's page is never unmapped.
            if (Signals.sigaction(signal, null, &before) == 0
                && (before.sa_handler == 0 || signal == Signals.SIGABRT)
                && Signals.sigaction(signal, &action, null) == 0)
            {
                _replaced.Add((signal, before));
            }
        }
    }
}
