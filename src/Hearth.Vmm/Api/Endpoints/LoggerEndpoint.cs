using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/logger</c>. Source: Firecracker swagger Logger.</summary>
internal sealed class LoggerEndpoint : Endpoint
{
    public override string Path => "logger";

    public override string MetricName => "logger";

    public override string Section => "logger";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "log_path", "level", "show_level", "show_log_origin", "module");
        return new ConfigureLogger(new LoggerConfig
        {
            LogPath = json.OptionalString("log_path"),
            Level = json.OptionalString("level") is { } level ? LoggerConfig.ParseLevel(level) : null,
            ShowLevel = json.OptionalBool("show_level"),
            ShowLogOrigin = json.OptionalBool("show_log_origin"),
            Module = json.OptionalString("module"),
        });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.Logger is not { } logger)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteOptionalString("log_path", logger.LogPath);
        json.WriteOptionalString("level", logger.Level?.ToString());
        json.WriteBoolean("show_level", logger.ShowLevel ?? false);
        json.WriteBoolean("show_log_origin", logger.ShowLogOrigin ?? false);
        json.WriteOptionalString("module", logger.Module);
        json.WriteEndObject();
        return true;
    }

    private sealed record ConfigureLogger(LoggerConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            preboot.Resources.Log.Configure(Config);
            preboot.Resources.Logger = Config;
            return VmmResponse.Empty;
        }
    }
}
