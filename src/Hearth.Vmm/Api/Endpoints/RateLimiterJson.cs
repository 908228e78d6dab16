using System.Text.Json;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>Rate limiters in the bodies of the devices that have them. Source: Firecracker swagger RateLimiter, TokenBucket.</summary>
internal static class RateLimiterJson
{
    public static RateLimiterConfig? Read(JsonBody parent, string name)
    {
        if (parent.OptionalObject(name) is not { } text)
        {
            return null;
        }

        JsonBody json = JsonBody.Parse(text, "bandwidth", "ops");
        return new RateLimiterConfig { Bandwidth = ReadBucket(json, "bandwidth"), Ops = ReadBucket(json, "ops") };
    }

    public static TokenBucketConfig? ReadBucket(JsonBody parent, string name)
    {
        if (parent.OptionalObject(name) is not { } text)
        {
            return null;
        }

        JsonBody json = JsonBody.Parse(text, "size", "one_time_burst", "refill_time");
        return new TokenBucketConfig
        {
            Size = json.RequiredNumber("size", long.MaxValue, "u64"),
            OneTimeBurst = json.OptionalNumber("one_time_burst", long.MaxValue, "u64"),
            RefillTime = json.RequiredNumber("refill_time", long.MaxValue, "u64"),
        };
    }

    public static void Write(Utf8JsonWriter json, string name, RateLimiterConfig? limiter)
    {
        if (limiter is null)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartObject(name);
        WriteBucket(json, "bandwidth", limiter.Bandwidth);
        WriteBucket(json, "ops", limiter.Ops);
        json.WriteEndObject();
    }

    public static void WriteBucket(Utf8JsonWriter json, string name, TokenBucketConfig? bucket)
    {
        if (bucket is null)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartObject(name);
        json.WriteNumber("size", bucket.Size);
        if (bucket.OneTimeBurst is { } burst)
        {
            json.WriteNumber("one_time_burst", burst);
        }
        else
        {
            json.WriteNull("one_time_burst");
        }

        json.WriteNumber("refill_time", bucket.RefillTime);
        json.WriteEndObject();
    }
}
