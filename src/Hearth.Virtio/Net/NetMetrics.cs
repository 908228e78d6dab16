using Hearth.Platform.Telemetry;

namespace Hearth.Virtio.Net;

/// <summary>A network interface's counters, under Firecracker's names.</summary>
public sealed class NetMetrics : MetricGroup
{
    public NetMetrics()
        : base("net")
    {
        ActivateFails = Counter("activate_fails");
        CfgFails = Counter("cfg_fails");
        NoRxAvailBuffer = Counter("no_rx_avail_buffer");
        NoTxAvailBuffer = Counter("no_tx_avail_buffer");
        EventFails = Counter("event_fails");
        RxQueueEventCount = Counter("rx_queue_event_count");
        RxEventRateLimiterCount = Counter("rx_event_rate_limiter_count");
        RxRateLimiterThrottled = Counter("rx_rate_limiter_throttled");
        RxTapEventCount = Counter("rx_tap_event_count");
        RxBytesCount = Counter("rx_bytes_count");
        RxPacketsCount = Counter("rx_packets_count");
        RxFails = Counter("rx_fails");
        RxCount = Counter("rx_count");
        TapReadFails = Counter("tap_read_fails");
        TapWriteFails = Counter("tap_write_fails");
        TxBytesCount = Counter("tx_bytes_count");
        TxMalformedFrames = Counter("tx_malformed_frames");
        TxFails = Counter("tx_fails");
        TxCount = Counter("tx_count");
        TxPacketsCount = Counter("tx_packets_count");
        TxQueueEventCount = Counter("tx_queue_event_count");
        TxRateLimiterEventCount = Counter("tx_rate_limiter_event_count");
        TxRateLimiterThrottled = Counter("tx_rate_limiter_throttled");
        TxSpoofedMacCount = Counter("tx_spoofed_mac_count");
        TxRemainingReqsCount = Counter("tx_remaining_reqs_count");
    }

    /// <summary>Activations that failed.</summary>
    public MetricCounter ActivateFails { get; }

    /// <summary>Accesses to the configuration space past its end, or writes to it.</summary>
    public MetricCounter CfgFails { get; }

    /// <summary>Times a frame had to wait, or the TAP was left alone, because the guest had lent no buffer.</summary>
    public MetricCounter NoRxAvailBuffer { get; }

    /// <summary>Bells rung for an empty transmit queue.</summary>
    public MetricCounter NoTxAvailBuffer { get; }

    /// <summary>Events that made no sense: a bell of a queue that is not there.</summary>
    public MetricCounter EventFails { get; }

    public MetricCounter RxQueueEventCount { get; }

    /// <summary>Times the rate limiter let receiving go on.</summary>
    public MetricCounter RxEventRateLimiterCount { get; }

    /// <summary>Times the rate limiter stopped receiving.</summary>
    public MetricCounter RxRateLimiterThrottled { get; }

    /// <summary>Times the TAP said that it has frames.</summary>
    public MetricCounter RxTapEventCount { get; }

    /// <summary>With the virtio-net headers.</summary>
    public MetricCounter RxBytesCount { get; }

    public MetricCounter RxPacketsCount { get; }

    /// <summary>Frames and buffers that could not be used: too long for the buffers, or buffers too small to be any.</summary>
    public MetricCounter RxFails { get; }

    /// <summary>Turns that gave the guest a frame.</summary>
    public MetricCounter RxCount { get; }

    public MetricCounter TapReadFails { get; }

    public MetricCounter TapWriteFails { get; }

    /// <summary>With the virtio-net headers.</summary>
    public MetricCounter TxBytesCount { get; }

    /// <summary>Chains that are no frame: shorter than a header, longer than the longest frame, or broken.</summary>
    public MetricCounter TxMalformedFrames { get; }

    /// <summary>Frames that the TAP did not take.</summary>
    public MetricCounter TxFails { get; }

    /// <summary>Turns that took a frame from the guest.</summary>
    public MetricCounter TxCount { get; }

    public MetricCounter TxPacketsCount { get; }

    public MetricCounter TxQueueEventCount { get; }

    /// <summary>Times the rate limiter let sending go on.</summary>
    public MetricCounter TxRateLimiterEventCount { get; }

    /// <summary>Times the rate limiter stopped sending.</summary>
    public MetricCounter TxRateLimiterThrottled { get; }

    /// <summary>Frames whose source is not the configured address; they are sent.</summary>
    public MetricCounter TxSpoofedMacCount { get; }

    /// <summary>Times a turn ended with frames left to send.</summary>
    public MetricCounter TxRemainingReqsCount { get; }
}
