using Hearth.Linux.Seccomp;

namespace Hearth.Vmm.Configuration;

/// <summary>What the command line says about this process and no request can change.</summary>
public sealed record InstanceOptions
{
    /// <summary><c>--id</c>: 1 to 64 of letters, digits and hyphens.</summary>
    public string Id { get; init; } = "anonymous-instance";

    /// <summary><c>--boot-timer</c>: the device through which a guest reports that it is up.</summary>
    public bool BootTimer { get; init; }

    /// <summary><c>--enable-pci</c>: virtio over PCI instead of MMIO.</summary>
    public bool EnablePci { get; init; }

    /// <summary><c>--strict-firecracker</c>: refuse what Firecracker does not have.</summary>
    public bool StrictFirecracker { get; init; }

    /// <summary><c>--no-seccomp</c>.</summary>
    public bool NoSeccomp { get; init; }

    /// <summary><c>--seccomp-filter</c>: the user's own filters; null for <see cref="Hearth.Vmm.Sandbox.SandboxPolicy"/>'s.</summary>
    public FilterSet? SeccompFilter { get; init; }

    /// <summary><c>--mmds-size-limit</c>, bytes.</summary>
    public int MmdsSizeLimit { get; init; } = 51_200;
}
