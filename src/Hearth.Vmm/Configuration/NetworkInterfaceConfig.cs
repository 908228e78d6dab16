using Hearth.Virtio.Net;

namespace Hearth.Vmm.Configuration;

/// <summary>A virtio-net device on a TAP interface. Source: Firecracker swagger NetworkInterface.</summary>
public sealed record NetworkInterfaceConfig : IDeviceConfig
{
    public required string IfaceId { get; init; }

    /// <summary>The TAP interface on the host.</summary>
    public required string HostDevName { get; init; }

    /// <summary>Null: the guest makes one up.</summary>
    public MacAddress? GuestMac { get; init; }

    /// <summary>In bytes, 68 to 65535; null: the guest decides.</summary>
    public ushort? Mtu { get; init; }

    /// <summary>What the guest may receive.</summary>
    public RateLimiterConfig? RxRateLimiter { get; init; }

    /// <summary>What the guest may send.</summary>
    public RateLimiterConfig? TxRateLimiter { get; init; }

    string IDeviceConfig.Id => IfaceId;
}
