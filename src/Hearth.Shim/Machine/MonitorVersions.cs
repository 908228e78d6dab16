using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// Which versions of Firecracker's API a pod's monitor may have: from the first with the entropy device (1.4.0) on, and before the
/// next that may break what is there (2.0.0). Source: Firecracker's changelog and its policy of semantic versions.
/// </summary>
internal static class MonitorVersions
{
    private static readonly Version s_oldest = new(1, 4, 0);
    private static readonly Version s_tooNew = new(2, 0, 0);

    /// <param name="monitor">The program, for the error.</param>
    /// <param name="version">What it has answered to <c>GET /version</c>: <c>1.17.0</c>, or with an end as in <c>1.10.0-dev</c>.</param>
    /// <exception cref="HearthException">It is none of them.</exception>
    public static void Check(string monitor, string version)
    {
        if (!Version.TryParse(version.Split('-', '+')[0], out Version? parsed) || parsed < s_oldest || parsed >= s_tooNew)
        {
            throw new HearthException(
                $"The monitor {monitor} says that its version is \"{version}\": pods need Firecracker {s_oldest} or later, before {s_tooNew}. Install one, or set monitor = \"hearth-vmm\" in [microvm] of hearth.toml.");
        }
    }
}
