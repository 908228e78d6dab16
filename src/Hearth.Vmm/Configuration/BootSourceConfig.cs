namespace Hearth.Vmm.Configuration;

/// <summary>What the guest boots. Source: Firecracker swagger BootSource.</summary>
public sealed record BootSourceConfig
{
    /// <summary>Path of a <c>vmlinux</c> or <c>bzImage</c>.</summary>
    public required string KernelImagePath { get; init; }

    public string? InitrdPath { get; init; }

    /// <summary>The kernel's command line as the user wrote it; null for <see cref="DefaultBootArgs"/>.</summary>
    public string? BootArgs { get; init; }

    /// <summary>Source: Firecracker docs/kernel-policy.md.</summary>
    public const string DefaultBootArgs =
        "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce";
}
