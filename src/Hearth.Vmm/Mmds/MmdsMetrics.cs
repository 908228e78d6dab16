using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Mmds;

/// <summary>The service's counters, under Firecracker's names.</summary>
public sealed class MmdsMetrics : MetricGroup
{
    public MmdsMetrics()
        : base("mmds")
    {
        RxAccepted = Counter("rx_accepted");
        RxAcceptedErr = Counter("rx_accepted_err");
        RxAcceptedUnusual = Counter("rx_accepted_unusual");
        RxBadEth = Counter("rx_bad_eth");
        RxInvalidToken = Counter("rx_invalid_token");
        RxNoToken = Counter("rx_no_token");
        RxCount = Counter("rx_count");
        TxBytes = Counter("tx_bytes");
        TxCount = Counter("tx_count");
        TxErrors = Counter("tx_errors");
        TxFrames = Counter("tx_frames");
        ConnectionsCreated = Counter("connections_created");
        ConnectionsDestroyed = Counter("connections_destroyed");
    }

    /// <summary>Frames kept from the host's network.</summary>
    public MetricCounter RxAccepted { get; }

    /// <summary>Kept frames that are not what they claim: lengths, checksums.</summary>
    public MetricCounter RxAcceptedErr { get; }

    /// <summary>Kept frames that nothing here answers: fragments, other protocols.</summary>
    public MetricCounter RxAcceptedUnusual { get; }

    /// <summary>Buffers too short for an Ethernet header.</summary>
    public MetricCounter RxBadEth { get; }

    /// <summary>GET requests whose token is unknown or expired.</summary>
    public MetricCounter RxInvalidToken { get; }

    /// <summary>GET requests without a token.</summary>
    public MetricCounter RxNoToken { get; }

    /// <summary>TCP segments taken in.</summary>
    public MetricCounter RxCount { get; }

    public MetricCounter TxBytes { get; }

    /// <summary>Segments and ARP replies sent.</summary>
    public MetricCounter TxCount { get; }

    /// <summary>Buffers of the guest that were too small for a frame.</summary>
    public MetricCounter TxErrors { get; }

    public MetricCounter TxFrames { get; }

    public MetricCounter ConnectionsCreated { get; }

    public MetricCounter ConnectionsDestroyed { get; }
}
