using System.Diagnostics;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PATCH <c>/vm</c>: pause and resume. Source: Firecracker swagger Vm.</summary>
internal sealed class VmStateEndpoint : Endpoint
{
    public override string Path => "vm";

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "state");
        bool paused = json.OptionalWord<bool>("state", ("Paused", true), ("Resumed", false)) ?? throw json.Missing("state");
        return new ChangeState(paused);
    }

    private sealed record ChangeState(bool Paused) : VmmAction
    {
        public override VmmResponse RunRuntime(RuntimeController runtime)
        {
            LatencyMetrics latencies = runtime.Resources.Metrics.Latencies;
            long begin = Stopwatch.GetTimestamp();
            if (Paused)
            {
                runtime.Machine.Pause();
            }
            else
            {
                runtime.Machine.Resume();
            }

            (Paused ? latencies.PauseVm : latencies.ResumeVm).Set((long)Stopwatch.GetElapsedTime(begin).TotalMicroseconds); return VmmResponse.Empty;
        }
    }
}
