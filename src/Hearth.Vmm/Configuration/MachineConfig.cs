using Hearth.Platform.Memory;

namespace Hearth.Vmm.Configuration;

/// <summary>vCPUs and memory. Source: Firecracker swagger MachineConfiguration.</summary>
public sealed record MachineConfig
{
    /// <summary>Source: Firecracker <c>MAX_SUPPORTED_VCPUS</c>.</summary>
    public const int MaxVcpus = 32;

    /// <summary>1 to <see cref="MaxVcpus"/>; 1 or even with <see cref="Smt"/>.</summary>
    public byte VcpuCount { get; init; } = 1;

    /// <summary>MiB, at least 1.</summary>
    public ulong MemSizeMib { get; init; } = 128;

    public bool Smt { get; init; }

    /// <summary>A static CPU template's name; null for none. Deprecated in Firecracker.</summary>
    public string? CpuTemplate { get; init; }

    public bool TrackDirtyPages { get; init; }

    public HugePages HugePages { get; init; }

    /// <exception cref="ConfigurationException">A number is out of its bounds.</exception>
    public void Validate()
    {
        if (VcpuCount is 0 or > MaxVcpus || (Smt && VcpuCount > 1 && VcpuCount % 2 == 1))
        {
            throw new ConfigurationException(
                $"Machine config error: The number of vCPUs must be greater than 0, less than {MaxVcpus} and must be 1 or an even number if SMT is enabled.");
        }

        if (MemSizeMib == 0 || (HugePages != HugePages.None && MemSizeMib % 2 != 0))
        {
            throw new ConfigurationException(
                "Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.");
        }
    }
}
