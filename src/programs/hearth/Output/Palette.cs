namespace Hearth.Programs.Hearth.Output;

/// <summary>Colour, where a person looks: on a terminal, and not with NO_COLOR (no-color.org) or a dumb one.</summary>
internal sealed class Palette
{
    public static Palette None { get; } = new(false);

    private readonly bool _on;

    private Palette(bool on) => _on = on;

    /// <summary>For standard output.</summary>
    public static Palette Output { get; } = new(IsWanted(Console.IsOutputRedirected));

    /// <summary>For standard error.</summary>
    public static Palette Error { get; } = new(IsWanted(Console.IsErrorRedirected));

    /// <summary>With colour whatever the output is.</summary>
    internal static Palette Always { get; } = new(true);

    public string Bold(string text) => Paint("1", text);

    public string Green(string text) => Paint("32", text);

    public string Yellow(string text) => Paint("33", text);

    public string Red(string text) => Paint("31", text);

    public string Dim(string text) => Paint("2", text);

    private string Paint(string code, string text) => _on && text.Length > 0 ? $"\e[{code}m{text}\e[0m" : text;

    private static bool IsWanted(bool redirected) =>
        !redirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") != "dumb";
}
