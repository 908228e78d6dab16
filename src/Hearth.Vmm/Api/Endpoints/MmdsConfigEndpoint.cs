using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/mmds/config</c>: who reaches the metadata service. Source: Firecracker swagger MmdsConfig.</summary>
internal sealed class MmdsConfigEndpoint : Endpoint
{
    public override string Path => "mmds/config";

    public override string MetricName => "mmds";

    public override string Section => "mmds-config";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "version", "network_interfaces", "ipv4_address", "imds_compat");
        return new ConfigureMmds(new MmdsConfig
        {
            Version = json.OptionalWord<MmdsVersion>("version", ("V1", MmdsVersion.V1), ("V2", MmdsVersion.V2)) ?? MmdsVersion.V1,
            NetworkInterfaces = json.RequiredStrings("network_interfaces"),
            Ipv4Address = ReadAddress(json.OptionalString("ipv4_address")),
            ImdsCompat = json.OptionalBool("imds_compat") ?? false,
        });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.Mmds is not { } config)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteString("version", config.Version == MmdsVersion.V2 ? "V2" : "V1");
        json.WriteStartArray("network_interfaces");
        foreach (string name in config.NetworkInterfaces)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
        json.WriteString("ipv4_address", config.EffectiveAddress.ToString());
        json.WriteBoolean("imds_compat", config.ImdsCompat);
        json.WriteEndObject();
        return true;
    }

    // Four decimal numbers only: the parser would also take fewer, and other bases.
    private static IPAddress? ReadAddress(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork && address.ToString() == text
            ? address
            : throw new JsonBodyException("invalid IPv4 address syntax");
    }

    private sealed record ConfigureMmds(MmdsConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            VmResources resources = preboot.Resources;
            Config.Validate(name => resources.FindDevice<NetworkInterfaceConfig>(name) is not null);
            resources.Mmds = Config;
            resources.Metadata.Configure(Config);
            return new VmmEmpty { IsDeprecated = Config.Version == MmdsVersion.V1 };
        }
    }
}
