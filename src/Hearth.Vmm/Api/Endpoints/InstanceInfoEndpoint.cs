using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>GET <c>/</c>: who this is and how it is doing. Source: Firecracker swagger InstanceInfo.</summary>
internal sealed class InstanceInfoEndpoint : Endpoint
{
    public override string Path => string.Empty;

    public override string MetricName => "instance_info";

    public override VmmAction Get() => new GetInstanceInfo();

    private sealed record GetInstanceInfo : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => Answer(preboot.Resources, VmState.NotStarted);

        public override VmmResponse RunRuntime(RuntimeController runtime) => Answer(runtime.Resources, runtime.Machine.State);

        private static VmmPayload Answer(VmResources resources, VmState state) => new(new InstanceInfo(resources.Options.Id, state));
    }

    private sealed record InstanceInfo(string Id, VmState State) : IJsonBody
    {
        public void WriteTo(Utf8JsonWriter json)
        {
            json.WriteStartObject();
            json.WriteString("id", Id);
            json.WriteString("state", State == VmState.NotStarted ? "Not started" : State.ToString());
            json.WriteString("vmm_version", ApiVersion.Firecracker);
            json.WriteString("app_name", "Firecracker");
            json.WriteEndObject();
        }
    }
}
