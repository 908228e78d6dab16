using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Net;

/// <summary>What a snapshot keeps of a network interface. A frame on its way is lost, as on any network.</summary>
public sealed record NetState
{
    public required string IfaceId { get; init; }

    /// <summary>The TAP at the time; the restored device may have another.</summary>
    public required string HostDeviceName { get; init; }

    public MacAddress? GuestMac { get; init; }

    public ushort? Mtu { get; init; }

    public RateLimiterState? RxRateLimiter { get; init; }

    public RateLimiterState? TxRateLimiter { get; init; }
}
