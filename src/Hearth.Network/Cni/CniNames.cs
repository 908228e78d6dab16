using System.Text;
using System.Text.RegularExpressions;

namespace Hearth.Network.Cni;

/// <summary>What names may be. Source: CNI specification, "Parameters".</summary>
internal static partial class CniNames
{
    /// <summary>A network's, or a container's id.</summary>
    public static bool IsName(string text) => Name().IsMatch(text);

    /// <summary>An interface's.</summary>
    public static bool IsInterface(string text) =>
        text is not ("" or "." or "..") && Encoding.UTF8.GetByteCount(text) <= 15 && !text.Any(static c => c is '/' or ':' || char.IsWhiteSpace(c) || char.IsControl(c));

    /// <summary>A plugin's: a file's name.</summary>
    public static bool IsPlugin(string text) => text is not ("" or "." or "..") && !text.AsSpan().ContainsAny('/', '\0');

    [GeneratedRegex(@"\A[a-zA-Z0-9][a-zA-Z0-9_.\-]*\z")]
    private static partial Regex Name();
}
