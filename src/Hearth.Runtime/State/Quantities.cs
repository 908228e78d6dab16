using System.Globalization;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.State;

/// <summary>Kubernetes' quantities: <c>10M</c>, <c>1Gi</c>, <c>1500</c>.</summary>
internal static class Quantities
{
    private static readonly (string Suffix, decimal Factor)[] s_suffixes =
    [
        ("Ki", 1L << 10), ("Mi", 1L << 20), ("Gi", 1L << 30), ("Ti", 1L << 40), ("k", 1e3m), ("K", 1e3m), ("M", 1e6m), ("G", 1e9m), ("T", 1e12m), ("", 1m),
    ];

    /// <summary>0 for nothing.</summary>
    /// <exception cref="PodException">InvalidArgument: this is no quantity.</exception>
    public static ulong Parse(string text)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        (string suffix, decimal factor) = s_suffixes.First(pair => text.EndsWith(pair.Suffix, StringComparison.Ordinal));
        const decimal Most = 1e15m;
        return decimal.TryParse(text[..^suffix.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number) && number >= 0 && number < Most && number * factor < Most
            ? (ulong)(number * factor)
            : throw new PodException(PodFault.InvalidArgument, $"\"{text}\" is no quantity, as 10M is.");
    }
}
