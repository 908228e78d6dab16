using System.Globalization;
using Hearth.Cri.Protocol;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>CRI's enumeration of signals: Linux's names, in an order of its own.</summary>
internal static class Signals
{
    // By Linux's numbers; SIGRTMIN is 34 (glibc), SIGRTMAX 64.
    private static readonly Signal[] s_byNumber =
    [
        Signal.RuntimeDefault, Signal.Sighup, Signal.Sigint, Signal.Sigquit, Signal.Sigill, Signal.Sigtrap, Signal.Sigabrt, Signal.Sigbus, Signal.Sigfpe,
        Signal.Sigkill, Signal.Sigusr1, Signal.Sigsegv, Signal.Sigusr2, Signal.Sigpipe, Signal.Sigalrm, Signal.Sigterm, Signal.Sigstkflt, Signal.Sigchld,
        Signal.Sigcont, Signal.Sigstop, Signal.Sigtstp, Signal.Sigttin, Signal.Sigttou, Signal.Sigurg, Signal.Sigxcpu, Signal.Sigxfsz, Signal.Sigvtalrm,
        Signal.Sigprof, Signal.Sigwinch, Signal.Sigio, Signal.Sigpwr, Signal.Sigsys,
    ];

    private const int FirstRealTime = 34;
    private const int LastRealTime = 64;

    /// <summary>Linux's number as text; empty for none.</summary>
    public static string Number(Signal signal)
    {
        int number = signal switch
        {
            Signal.RuntimeDefault => 0,
            // Other names of the same.
            Signal.Sigcld => Number(s_byNumber, Signal.Sigchld),
            Signal.Sigiot => Number(s_byNumber, Signal.Sigabrt),
            Signal.Sigpoll => Number(s_byNumber, Signal.Sigio),
            >= Signal.Sigrtmin => FirstRealTime + (signal - Signal.Sigrtmin),
            _ => Number(s_byNumber, signal),
        };
        return number > 0 ? number.ToString(CultureInfo.InvariantCulture) : "";
    }

    /// <summary>Of Linux's number.</summary>
    public static Signal FromNumber(int number) => number switch
    {
        >= 0 when number < s_byNumber.Length => s_byNumber[number],
        >= FirstRealTime and <= LastRealTime => Signal.Sigrtmin + (number - FirstRealTime),
        _ => Signal.RuntimeDefault,
    };

    private static int Number(Signal[] byNumber, Signal signal) => Array.IndexOf(byNumber, signal);
}
