using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Net;

/// <summary>A network interface as the user asked for it.</summary>
public sealed record NetConfig
{
    public required string IfaceId { get; init; }

    /// <summary>The TAP interface's name in the monitor's network namespace.</summary>
    public required string HostDeviceName { get; init; }

    /// <summary>Null: the guest makes one up.</summary>
    public MacAddress? GuestMac { get; init; }

    /// <summary>The largest packet the guest shall send, in bytes after the Ethernet header; null: the guest decides.</summary>
    public ushort? Mtu { get; init; }

    /// <summary>What the guest may receive; null for no limit.</summary>
    public RateLimiterConfig? RxRateLimiter { get; init; }

    /// <summary>What the guest may send; null for no limit.</summary>
    public RateLimiterConfig? TxRateLimiter { get; init; }
}
