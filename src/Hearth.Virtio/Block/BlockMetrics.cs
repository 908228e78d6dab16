using Hearth.Platform.Telemetry;

namespace Hearth.Virtio.Block;

/// <summary>A drive's counters, under Firecracker's names.</summary>
public sealed class BlockMetrics : MetricGroup
{
    public BlockMetrics()
        : base("block")
    {
        ActivateFails = Counter("activate_fails");
        CfgFails = Counter("cfg_fails");
        NoAvailBuffer = Counter("no_avail_buffer");
        EventFails = Counter("event_fails");
        ExecuteFails = Counter("execute_fails");
        InvalidReqsCount = Counter("invalid_reqs_count");
        FlushCount = Counter("flush_count");
        QueueEventCount = Counter("queue_event_count");
        RateLimiterEventCount = Counter("rate_limiter_event_count");
        UpdateCount = Counter("update_count");
        UpdateFails = Counter("update_fails");
        ReadBytes = Counter("read_bytes");
        WriteBytes = Counter("write_bytes");
        ReadCount = Counter("read_count");
        WriteCount = Counter("write_count");
        RateLimiterThrottledEvents = Counter("rate_limiter_throttled_events");
    }

    /// <summary>Activations that failed.</summary>
    public MetricCounter ActivateFails { get; }

    /// <summary>Accesses to the configuration space past its end, or writes to it.</summary>
    public MetricCounter CfgFails { get; }

    /// <summary>Bells rung for an empty queue.</summary>
    public MetricCounter NoAvailBuffer { get; }

    /// <summary>Events that made no sense: a bell of a queue that is not there.</summary>
    public MetricCounter EventFails { get; }

    /// <summary>Requests that the host, or the size of the drive, did not let succeed.</summary>
    public MetricCounter ExecuteFails { get; }

    /// <summary>Chains that are no request.</summary>
    public MetricCounter InvalidReqsCount { get; }

    public MetricCounter FlushCount { get; }

    public MetricCounter QueueEventCount { get; }

    /// <summary>Times the rate limiter let the drive go on.</summary>
    public MetricCounter RateLimiterEventCount { get; }

    /// <summary>Changes of the backing file.</summary>
    public MetricCounter UpdateCount { get; }

    public MetricCounter UpdateFails { get; }

    public MetricCounter ReadBytes { get; }

    public MetricCounter WriteBytes { get; }

    public MetricCounter ReadCount { get; }

    public MetricCounter WriteCount { get; }

    /// <summary>Times the rate limiter stopped the drive.</summary>
    public MetricCounter RateLimiterThrottledEvents { get; }
}
