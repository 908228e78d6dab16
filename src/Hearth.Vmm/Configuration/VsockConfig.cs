namespace Hearth.Vmm.Configuration;

/// <summary>The virtio-vsock device, of which there is one at most. Source: Firecracker swagger Vsock.</summary>
public sealed record VsockConfig : IDeviceConfig
{
    /// <summary>3 to 2³²-2: 0 to 2 are reserved, and the highest means "any" (vsock(7)).</summary>
    public required uint GuestCid { get; init; }

    public required string UdsPath { get; init; }

    string IDeviceConfig.Id => "vsock";
}
