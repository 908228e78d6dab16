using System.Text.Json;
using Hearth.Vmm.Actions;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>GET <c>/version</c>. Source: Firecracker swagger FirecrackerVersion.</summary>
internal sealed class VersionEndpoint : Endpoint
{
    public override string Path => "version";

    public override string MetricName => "vmm_version";

    public override VmmAction Get() => new GetVersion();

    private sealed record GetVersion : VmmAction, IJsonBody
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => new VmmPayload(this);

        public override VmmResponse RunRuntime(RuntimeController runtime) => new VmmPayload(this);

        public void WriteTo(Utf8JsonWriter json)
        {
            json.WriteStartObject();
            json.WriteString("firecracker_version", ApiVersion.Firecracker);
            json.WriteEndObject();
        }
    }
}
