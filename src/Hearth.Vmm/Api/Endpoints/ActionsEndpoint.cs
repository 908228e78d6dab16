using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/actions</c>. Source: Firecracker swagger InstanceActionInfo.</summary>
internal sealed class ActionsEndpoint : Endpoint
{
    private enum ActionType
    {
        FlushMetrics,
        InstanceStart,
        SendCtrlAltDel,
    }

    public override string Path => "actions";

    public override string MetricName => "actions";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "action_type");
        return json.OptionalWord<ActionType>(
            "action_type",
            ("FlushMetrics", ActionType.FlushMetrics),
            ("InstanceStart", ActionType.InstanceStart),
            ("SendCtrlAltDel", ActionType.SendCtrlAltDel)) switch
        {
            ActionType.InstanceStart => new StartInstance(),
            ActionType.SendCtrlAltDel => new TypeCtrlAltDel(),
            ActionType.FlushMetrics => new FlushMetrics(),
            _ => throw json.Missing("action_type"),
        };
    }

    /// <summary>InstanceStart, which the config file ends with too.</summary>
    internal sealed record StartInstance : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => preboot.Start();
    }

    private sealed record FlushMetrics : VmmAction
    {
        public override VmmResponse RunRuntime(RuntimeController runtime)
        {
            runtime.Resources.Metrics.Flush();
            return VmmResponse.Empty;
        }
    }

    private sealed record TypeCtrlAltDel : VmmAction
    {
        public override VmmResponse RunRuntime(RuntimeController runtime)
        {
            runtime.Machine.SendCtrlAltDel();
            return VmmResponse.Empty;
        }
    }
}
