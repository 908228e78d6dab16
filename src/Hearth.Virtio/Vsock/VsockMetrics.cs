using Hearth.Platform.Telemetry;

namespace Hearth.Virtio.Vsock;

/// <summary>A socket device's counters, under Firecracker's names.</summary>
public sealed class VsockMetrics : MetricGroup
{
    public VsockMetrics()
        : base("vsock")
    {
        ActivateFails = Counter("activate_fails");
        CfgFails = Counter("cfg_fails");
        RxQueueEventCount = Counter("rx_queue_event_count");
        TxQueueEventCount = Counter("tx_queue_event_count");
        RxQueueEventFails = Counter("rx_queue_event_fails");
        TxQueueEventFails = Counter("tx_queue_event_fails");
        EvQueueEventFails = Counter("ev_queue_event_fails");
        RxBytesCount = Counter("rx_bytes_count");
        TxBytesCount = Counter("tx_bytes_count");
        RxPacketsCount = Counter("rx_packets_count");
        TxPacketsCount = Counter("tx_packets_count");
        ConnsAdded = Counter("conns_added");
        ConnsKilled = Counter("conns_killed");
        ConnsRemoved = Counter("conns_removed");
        TxWriteFails = Counter("tx_write_fails");
    }

    /// <summary>Activations that failed.</summary>
    public MetricCounter ActivateFails { get; }

    /// <summary>Accesses past the end of the configuration space, or writes to it.</summary>
    public MetricCounter CfgFails { get; }

    public MetricCounter RxQueueEventCount { get; }

    public MetricCounter TxQueueEventCount { get; }

    /// <summary>Chains of the receive queue that hold no packet.</summary>
    public MetricCounter RxQueueEventFails { get; }

    /// <summary>Packets of the guest that make no sense.</summary>
    public MetricCounter TxQueueEventFails { get; }

    /// <summary>Chains of the event queue that hold no event.</summary>
    public MetricCounter EvQueueEventFails { get; }

    /// <summary>Payload to the guest.</summary>
    public MetricCounter RxBytesCount { get; }

    /// <summary>Payload from the guest.</summary>
    public MetricCounter TxBytesCount { get; }

    public MetricCounter RxPacketsCount { get; }

    public MetricCounter TxPacketsCount { get; }

    public MetricCounter ConnsAdded { get; }

    /// <summary>Streams ended because one end did not keep to the protocol, or did not answer.</summary>
    public MetricCounter ConnsKilled { get; }

    public MetricCounter ConnsRemoved { get; }

    /// <summary>Writes to a host's socket that failed.</summary>
    public MetricCounter TxWriteFails { get; }
}
