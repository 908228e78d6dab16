using Hearth.Configuration;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>What a machine is booted from.</summary>
internal static class GuestFiles
{
    /// <summary>
    /// Looks whether they are there. Said in words of its own: Podman takes what an operating system says of a file that is missing for
    /// the container's command.
    /// </summary>
    /// <exception cref="HearthException">One is not: which, and where to get it.</exception>
    public static void Check(MicrovmConfig config)
    {
        Check(config.Kernel, "kernel", "hearth kernel build");
        Check(config.Initrd, "initrd", "hearth initrd build");
    }

    private static void Check(string path, string key, string maker)
    {
        if (!File.Exists(path))
        {
            throw new HearthException($"The guest's {key} {path} is not there ({key} of [microvm] in hearth.toml): install one there, or make one ({maker}).");
        }
    }
}
