using Hearth.Platform.Telemetry;

namespace Hearth.Virtio.VhostUser;

/// <summary>The counters of a device that another process serves, under Firecracker's names where it has them.</summary>
public sealed class VhostUserMetrics : MetricGroup
{
    public VhostUserMetrics(string name)
        : base(name)
    {
        ActivateFails = Counter("activate_fails");
        CfgFails = Counter("cfg_fails");
        BackEndLost = Counter("back_end_lost");
        FailedRequests = Counter("failed_requests");
    }

    /// <summary>Activations that the back end did not take part in.</summary>
    public MetricCounter ActivateFails { get; }

    /// <summary>Writes to the configuration space, or reads past its end.</summary>
    public MetricCounter CfgFails { get; }

    /// <summary>Times a back end died, hung or broke the protocol while its device was at work.</summary>
    public MetricCounter BackEndLost { get; }

    /// <summary>Requests the monitor answered with an error in place of a lost back end.</summary>
    public MetricCounter FailedRequests { get; }
}
