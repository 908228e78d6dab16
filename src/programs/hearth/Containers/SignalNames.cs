using System.Globalization;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>Signals by the names people type. Source: signal(7), x86-64.</summary>
internal static class SignalNames
{
    private const uint LastSignal = 64;
    private const uint FirstRealTime = 34;

    private static readonly string[] s_names =
    [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    /// <summary><c>TERM</c>, <c>SIGTERM</c>, <c>15</c>, <c>RTMIN+3</c>.</summary>
    /// <exception cref="CommandLineException">It is no signal.</exception>
    public static uint Parse(string text)
    {
        string name = text.ToUpperInvariant();
        name = name.StartsWith("SIG", StringComparison.Ordinal) ? name[3..] : name;
        uint signal = 0;
        if (!uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out signal))
        {
            signal = name switch
            {
                "IOT" => 6,
                "CLD" => 17,
                "POLL" => 29,
                "RTMIN" => FirstRealTime,
                "RTMAX" => LastSignal,
                _ when name.StartsWith("RTMIN+", StringComparison.Ordinal) && uint.TryParse(name[6..], NumberStyles.None, CultureInfo.InvariantCulture, out uint up) && up <= 30 => FirstRealTime + up,
                _ when name.StartsWith("RTMAX-", StringComparison.Ordinal) && uint.TryParse(name[6..], NumberStyles.None, CultureInfo.InvariantCulture, out uint down) && down <= 30 => LastSignal - down,
                _ => (uint)(Array.IndexOf(s_names, name) + 1),
            };
        }

        return signal is > 0 and <= LastSignal ? signal : throw new CommandLineException($"\"{text}\" is no signal: write KILL, SIGUSR1, 15 or RTMIN+3.");
    }
}
