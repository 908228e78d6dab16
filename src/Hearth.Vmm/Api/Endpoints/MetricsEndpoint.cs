using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/metrics</c>. Source: Firecracker swagger Metrics.</summary>
internal sealed class MetricsEndpoint : Endpoint
{
    public override string Path => "metrics";

    public override string Section => "metrics";

    public override string MetricName => "metrics";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "metrics_path", "emit_id", "properties");
        return new ConfigureMetrics(new MetricsConfig
        {
            MetricsPath = json.RequiredString("metrics_path"),
            EmitId = json.OptionalBool("emit_id") ?? false,
            Properties = json.OptionalStringMap("properties"),
        });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.Metrics.Config is not { } config)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteString("metrics_path", config.MetricsPath);
        json.WriteBoolean("emit_id", config.EmitId);
        json.WriteStringMap("properties", config.Properties ?? []);
        json.WriteEndObject();
        return true;
    }

    private sealed record ConfigureMetrics(MetricsConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            preboot.Resources.Metrics.Configure(Config);
            return VmmResponse.Empty;
        }
    }
}
