using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>GET <c>/vm/config</c>: what a config file would say. Source: Firecracker swagger FullVmConfiguration.</summary>
internal sealed class VmConfigEndpoint : Endpoint
{
    public override string Path => "vm/config";

    public override VmmAction Get() => new GetConfig();

    private sealed record GetConfig : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => new VmmPayload(new Configuration(preboot.Resources));

        public override VmmResponse RunRuntime(RuntimeController runtime) => new VmmPayload(new Configuration(runtime.Resources));
    }

    private sealed record Configuration(VmResources Resources) : IJsonBody
    {
        public void WriteTo(Utf8JsonWriter json)
        {
            json.WriteStartObject();
            foreach (Endpoint endpoint in RouteTable.Endpoints)
            {
                if (!endpoint.HasSection(Resources))
                {
                    continue;
                }

                // Clients look for each key, with null or an empty array where nothing was configured.
                json.WritePropertyName(endpoint.Section!);
                if (endpoint.WriteSection(json, Resources))
                {
                    continue;
                }

                if (endpoint.SectionIsArray)
                {
                    json.WriteStartArray();
                    json.WriteEndArray();
                }
                else
                {
                    json.WriteNullValue();
                }
            }

            json.WriteEndObject();
        }
    }
}
