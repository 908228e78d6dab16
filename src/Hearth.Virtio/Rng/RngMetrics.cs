using Hearth.Platform.Telemetry;

namespace Hearth.Virtio.Rng;

/// <summary>The entropy device's counters, under Firecracker's names.</summary>
public sealed class RngMetrics : MetricGroup
{
    public RngMetrics()
        : base("entropy")
    {
        ActivateFails = Counter("activate_fails");
        EntropyEventFails = Counter("entropy_event_fails");
        EntropyEventCount = Counter("entropy_event_count");
        EntropyBytes = Counter("entropy_bytes");
        HostRngFails = Counter("host_rng_fails");
        EntropyRateLimiterThrottled = Counter("entropy_rate_limiter_throttled");
        RateLimiterEventCount = Counter("rate_limiter_event_count");
    }

    /// <summary>Activations that failed.</summary>
    public MetricCounter ActivateFails { get; }

    /// <summary>Requests with no room for a byte.</summary>
    public MetricCounter EntropyEventFails { get; }

    /// <summary>Bells rung.</summary>
    public MetricCounter EntropyEventCount { get; }

    /// <summary>Bytes given to the guest.</summary>
    public MetricCounter EntropyBytes { get; }

    /// <summary>Times the host's own generator failed.</summary>
    public MetricCounter HostRngFails { get; }

    /// <summary>Requests that the rate limiter made wait.</summary>
    public MetricCounter EntropyRateLimiterThrottled { get; }

    /// <summary>Times the rate limiter let the device go on.</summary>
    public MetricCounter RateLimiterEventCount { get; }
}
