using System.Globalization;
using Hearth.Linux;

namespace Hearth.Vmm.Machines;

/// <summary>How much memory this host has at most, so that a guest is not promised what can never be given.</summary>
internal static class HostMemory
{
    /// <summary>RAM and swap in MiB; <see cref="ulong.MaxValue"/> where the host does not say.</summary>
    public static ulong TotalMib()
    {
        ulong kib = 0;
        try
        {
            foreach (string line in File.ReadLines("/proc/meminfo"))
            {
                if (line.StartsWith("MemTotal:", StringComparison.Ordinal) || line.StartsWith("SwapTotal:", StringComparison.Ordinal))
                {
                    ReadOnlySpan<char> number = line.AsSpan(line.IndexOf(':') + 1).Trim().TrimEnd(" kB");
                    kib += ulong.Parse(number, CultureInfo.InvariantCulture);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            // A jail without /proc: mmap and the OOM killer are the judges then.
            return ulong.MaxValue;
        }

        return kib == 0 ? ulong.MaxValue : kib / 1024;
    }

    /// <exception cref="HearthException">The guest would have more memory than the host.</exception>
    public static void Check(ulong guestMib)
    {
        ulong total = TotalMib();
        if (guestMib > total)
        {
            throw new HearthException($"The guest's memory of {guestMib} MiB is more than the {total} MiB of RAM and swap that this host has. Lower mem_size_mib.");
        }
    }
}
