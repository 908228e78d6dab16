using System.Security.Cryptography;

namespace Hearth.Programs.Hearth.Names;

/// <summary>A name for what was given none: easy to say and to type.</summary>
internal static class RandomName
{
    private static readonly string[] s_first =
    [
        "amber", "ashen", "bright", "calm", "copper", "dusky", "early", "fair", "gentle", "glowing", "golden", "hushed", "keen", "kind",
        "late", "lively", "lucky", "mellow", "mild", "nimble", "patient", "plain", "quick", "quiet", "rosy", "rustic", "silver", "snug",
        "steady", "sunny", "tender", "warm",
    ];

    private static readonly string[] s_second =
    [
        "alder", "anvil", "ash", "beacon", "beech", "bellows", "birch", "candle", "cedar", "cinder", "coal", "ember", "flint", "forge",
        "grate", "kettle", "kiln", "kindling", "lantern", "log", "mantel", "match", "oak", "oven", "poker", "smith", "spark", "stove",
        "tinder", "torch", "wick", "willow",
    ];

    public static string Next() =>
        $"{s_first[RandomNumberGenerator.GetInt32(s_first.Length)]}-{s_second[RandomNumberGenerator.GetInt32(s_second.Length)]}-{RandomNumberGenerator.GetInt32(10, 100)}";
}
