using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/entropy</c>. Source: Firecracker swagger EntropyDevice.</summary>
internal sealed class EntropyEndpoint : Endpoint
{
    public override string Path => "entropy";

    public override string Section => "entropy";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "rate_limiter");
        return new InsertEntropy(new EntropyConfig { RateLimiter = RateLimiterJson.Read(json, "rate_limiter") });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.Devices<EntropyConfig>().FirstOrDefault() is not { } entropy)
        {
            return false;
        }

        json.WriteStartObject();
        RateLimiterJson.Write(json, "rate_limiter", entropy.RateLimiter);
        json.WriteEndObject();
        return true;
    }

    private sealed record InsertEntropy(EntropyConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            preboot.Resources.PutDevice(Config);
            return VmmResponse.Empty;
        }
    }
}
