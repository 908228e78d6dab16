namespace Hearth.Vmm.Configuration;

/// <summary>The entropy device, of which there is one at most. Source: Firecracker swagger EntropyDevice.</summary>
public sealed record EntropyConfig : IDeviceConfig
{
    public RateLimiterConfig? RateLimiter { get; init; }

    string IDeviceConfig.Id => "rng";
}
