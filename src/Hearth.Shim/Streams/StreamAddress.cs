using Hearth.Ttrpc;

namespace Hearth.Shim.Streams;

/// <summary>What kind of thing a standard stream's address names.</summary>
internal enum StreamKind
{
    None,

    /// <summary>A FIFO of the manager's; a file at such a path is appended to.</summary>
    Fifo,
    File,

    /// <summary>A program that takes both outputs.</summary>
    Binary,

    /// <summary>A log in CRI's format.</summary>
    Cri,

    /// <summary>Held for clients of the stream socket.</summary>
    Held,
}

/// <summary>Where one of a process's standard streams comes from or goes to. Source: docs/shim-protocol.md.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Path">The path, where there is one.</param>
/// <param name="Arguments">Of a program: names and values of its query, in their order.</param>
internal sealed record StreamAddress(StreamKind Kind, string Path, IReadOnlyList<string> Arguments)
{
    private static readonly StreamAddress s_none = new(StreamKind.None, "", []);

    public bool IsNone => Kind == StreamKind.None;

    /// <exception cref="TtrpcException">InvalidArgument: this is no address.</exception>
    public static StreamAddress Parse(string text)
    {
        if (text.Length == 0)
        {
            return s_none;
        }

        if (text.StartsWith('/'))
        {
            return WithPath(StreamKind.Fifo, text, text);
        }

        int end = text.IndexOf("://", StringComparison.Ordinal);
        string rest = end < 0 ? "" : text[(end + 3)..];
        return (end < 0 ? "" : text[..end]) switch
        {
            "fifo" => WithPath(StreamKind.Fifo, rest, text),
            "file" => WithPath(StreamKind.File, Uri.UnescapeDataString(rest), text),
            "binary" => Program(rest, text),
            "cri" => WithPath(StreamKind.Cri, rest, text),
            "stream" when rest.Length == 0 => new StreamAddress(StreamKind.Held, "", []),
            _ => throw Invalid(text),
        };
    }

    private static StreamAddress WithPath(StreamKind kind, string path, string text) =>
        path.StartsWith('/') && !path.Contains('\0') ? new StreamAddress(kind, path, []) : throw Invalid(text);

    private static StreamAddress Program(string rest, string text)
    {
        string[] parts = rest.Split('?', 2);
        List<string> arguments = [];
        foreach (string pair in parts.Length == 2 ? parts[1].Split('&', StringSplitOptions.RemoveEmptyEntries) : [])
        {
            string[] nameAndValue = pair.Split('=', 2);
            arguments.AddRange(nameAndValue.Where(static part => part.Length > 0).Select(static part => Uri.UnescapeDataString(part.Replace('+', ' '))));
        }

        return WithPath(StreamKind.Binary, Uri.UnescapeDataString(parts[0]), text) with { Arguments = arguments };
    }

    private static TtrpcException Invalid(string text) => new(
        StatusCode.InvalidArgument,
        $"\"{text}\" is no address of a standard stream: it is a path, fifo://PATH, file://PATH, binary://PROGRAM?ARGUMENTS, cri://PATH or stream://.");
}
