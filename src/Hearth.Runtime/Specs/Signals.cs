using System.Globalization;

namespace Hearth.Runtime.Specs;

/// <summary>Signals by name. Source: signal(7), x86-64.</summary>
public static class Signals
{
    public const int Kill = 9;
    public const int Terminate = 15;
    private const int FirstRealTime = 34;
    private const int LastRealTime = 64;

    private static readonly Dictionary<string, int> s_numbers = new()
    {
        ["HUP"] = 1,
        ["INT"] = 2,
        ["QUIT"] = 3,
        ["ILL"] = 4,
        ["TRAP"] = 5,
        ["ABRT"] = 6,
        ["IOT"] = 6,
        ["BUS"] = 7,
        ["FPE"] = 8,
        ["KILL"] = 9,
        ["USR1"] = 10,
        ["SEGV"] = 11,
        ["USR2"] = 12,
        ["PIPE"] = 13,
        ["ALRM"] = 14,
        ["TERM"] = 15,
        ["STKFLT"] = 16,
        ["CHLD"] = 17,
        ["CLD"] = 17,
        ["CONT"] = 18,
        ["STOP"] = 19,
        ["TSTP"] = 20,
        ["TTIN"] = 21,
        ["TTOU"] = 22,
        ["URG"] = 23,
        ["XCPU"] = 24,
        ["XFSZ"] = 25,
        ["VTALRM"] = 26,
        ["PROF"] = 27,
        ["WINCH"] = 28,
        ["IO"] = 29,
        ["POLL"] = 29,
        ["PWR"] = 30,
        ["SYS"] = 31,
        ["RTMIN"] = FirstRealTime,
        ["RTMAX"] = LastRealTime,
    };

    /// <summary>Reads <c>SIGTERM</c>, <c>TERM</c>, <c>15</c>, <c>SIGRTMIN+3</c>, <c>SIGRTMAX-1</c> and CRI's <c>SIGRTMINPLUS3</c>, <c>SIGRTMAXMINUS1</c>.</summary>
    /// <returns>The number, 1 to 64; 0 for what is no signal.</returns>
    public static int Parse(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return number is >= 1 and <= LastRealTime ? number : 0;
        }

        string name = text.ToUpperInvariant();
        name = name.StartsWith("SIG", StringComparison.Ordinal) ? name[3..] : name;
        name = name.Replace("RTMINPLUS", "RTMIN+").Replace("RTMAXMINUS", "RTMAX-");
        if (s_numbers.TryGetValue(name, out number))
        {
            return number;
        }

        bool fromMin = name.StartsWith("RTMIN+", StringComparison.Ordinal);
        if ((!fromMin && !name.StartsWith("RTMAX-", StringComparison.Ordinal))
            || !int.TryParse(name.AsSpan("RTMIN+".Length), NumberStyles.None, CultureInfo.InvariantCulture, out int distance)
            || distance > LastRealTime - FirstRealTime)
        {
            return 0;
        }

        return fromMin ? FirstRealTime + distance : LastRealTime - distance;
    }
}
