using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>A virtio-net device over a TAP of the host.</summary>
public sealed record NetworkInterface
{
    public required string IfaceId { get; init; }

    /// <summary>The TAP's name in the monitor's network namespace.</summary>
    public required string HostDevName { get; init; }

    public string? GuestMac { get; init; }

    /// <summary>68 to 65535.</summary>
    public int? Mtu { get; init; }

    public RateLimiter? RxRateLimiter { get; init; }

    public RateLimiter? TxRateLimiter { get; init; }
}

/// <summary>What of a running guest's <see cref="NetworkInterface"/> is to change.</summary>
public sealed record PartialNetworkInterface
{
    public required string IfaceId { get; init; }

    public RateLimiter? RxRateLimiter { get; init; }

    public RateLimiter? TxRateLimiter { get; init; }
}

/// <summary>The virtio-vsock device.</summary>
public sealed record Vsock
{
    /// <summary>3 or more.</summary>
    public required long GuestCid { get; init; }

    /// <summary>The Unix socket that the monitor makes, through which the host connects to the guest (<see cref="VsockDialer"/>).</summary>
    public required string UdsPath { get; init; }

    /// <summary>Deprecated by Firecracker.</summary>
    public string? VsockId { get; init; }
}

/// <summary>The version of the metadata service's protocol.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MmdsVersion>))]
public enum MmdsVersion
{
    V1,
    V2,
}

/// <summary>Which interfaces reach the metadata service, and how.</summary>
public sealed record MmdsConfig
{
    /// <summary>Ids of network interfaces that exist already.</summary>
    public required IReadOnlyList<string> NetworkInterfaces { get; init; }

    public MmdsVersion? Version { get; init; }

    /// <summary>A link-local address; 169.254.169.254 where it is null.</summary>
    [JsonPropertyName("ipv4_address")]
    public string? Ipv4Address { get; init; }

    public bool? ImdsCompat { get; init; }
}
