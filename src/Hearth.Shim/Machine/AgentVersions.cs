using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// Which agents a shim can have a pod with: those of its own major and minor version. What they say to each other may change with the
/// next one, and what an older agent does not know it passes over without a word.
/// </summary>
internal static class AgentVersions
{
    private static readonly Version s_own = typeof(AgentVersions).Assembly.GetName().Version!;

    /// <param name="initrd">The file that the agent is in, for the error.</param>
    /// <param name="version">What it has answered to <c>Check</c>: <c>0.1.0</c>.</param>
    /// <exception cref="HearthException">It is none of them.</exception>
    public static void Check(string initrd, string version)
    {
        if (!Version.TryParse(version, out Version? parsed) || (parsed.Major, parsed.Minor) != (s_own.Major, s_own.Minor))
        {
            throw new HearthException(
                $"The agent in {initrd} (initrd of [microvm] in hearth.toml) is of version \"{version}\", and this shim of {s_own.ToString(3)}: install the initrd that came with it, or make one (hearth initrd build).");
        }
    }
}
