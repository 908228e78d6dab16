using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/serial</c>: where ttyS0's output goes. Source: Firecracker swagger SerialDevice.</summary>
internal sealed class SerialEndpoint : Endpoint
{
    public override string Path => "serial";

    public override string MetricName => "serial";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "serial_out_path", "rate_limiter");
        return RateLimiterJson.ReadBucket(json, "rate_limiter") is not null
            ? throw new ApiException("A rate limiter on the serial port is not supported by hearth-vmm yet: leave rate_limiter out.")
            : new ConfigureSerial(new SerialConfig { SerialOutPath = json.OptionalString("serial_out_path") });
    }

    private sealed record ConfigureSerial(SerialConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            preboot.Resources.Serial = Config;
            return VmmResponse.Empty;
        }
    }
}
