using System.Globalization;
using System.Net;

namespace Hearth.Configuration;

/// <summary>What a key's value is, and what may be said of it without looking at the host.</summary>
internal enum ValueKind
{
    Text,
    Choice,
    Flag,
    Number,
    TextList,

    /// <summary>An absolute path of something that Hearth makes.</summary>
    Path,

    /// <summary>An absolute path, or nothing, of a file that must be there.</summary>
    File,

    /// <summary>Absolute paths of folders, which need not be there.</summary>
    FolderList,

    /// <summary>A program's name, or the absolute path of one.</summary>
    Program,

    /// <summary>HOST:PORT, or nothing.</summary>
    Endpoint,

    /// <summary>An IP address.</summary>
    Address,

    /// <summary>An address and the length of its prefix.</summary>
    Subnet,
}

/// <summary>A key of a section: the one place that knows its name, its meaning, its type and where it goes.</summary>
/// <typeparam name="T">The record that it is a property of.</typeparam>
internal sealed record ConfigKey<T>(string Name, ValueKind Kind, string Comment, Func<T, object> Get, Func<T, object, T> Set)
{
    public long Min { get; init; }

    public long Max { get; init; } = int.MaxValue;

    public string[] Choices { get; init; } = [];

    /// <summary>A value of the right type that makes no sense: what is wrong with it; null for nothing.</summary>
    public string? Refuse(object value) => (Kind, value) switch
    {
        (ValueKind.Number, long number) when number < Min || number > Max => $"{number} is not between {Min} and {Max}",
        (ValueKind.Choice, string text) when !Choices.Contains(text) => $"\"{text}\" is none of {string.Join(", ", Choices.Select(static choice => $"\"{choice}\""))}",
        (ValueKind.Path, string text) when !IsAbsolute(text) => $"\"{text}\" is no absolute path",
        (ValueKind.File, string text) when text.Length > 0 && !IsAbsolute(text) => $"\"{text}\" is no absolute path",
        (ValueKind.Program, string text) when text.Length == 0 || (text.Contains('/') && !IsAbsolute(text)) => $"\"{text}\" is neither a program's name nor an absolute path",
        (ValueKind.FolderList, IReadOnlyList<string> list) when list.FirstOrDefault(static path => !IsAbsolute(path)) is { } wrong => $"\"{wrong}\" is no absolute path",
        (ValueKind.Endpoint, string text) when text.Length > 0 && !IsEndpoint(text) => $"\"{text}\" is no address with a port, as 127.0.0.1:9500 is",
        (ValueKind.Address, string text) when !IPAddress.TryParse(text, out _) => $"\"{text}\" is no IP address",
        (ValueKind.Subnet, string text) when !IPNetwork.TryParse(text, out _) => $"\"{text}\" is no subnet, as 10.88.0.0/16 is (no bit set behind the prefix)",
        _ => null,
    };

    private static bool IsAbsolute(string path) => path.StartsWith('/') && !path.Contains('\0');

    private static bool IsEndpoint(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > 0 && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }
}
