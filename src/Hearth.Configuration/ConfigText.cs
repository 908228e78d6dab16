using System.Text;

namespace Hearth.Configuration;

/// <summary>A configuration as text: each key with what it means.</summary>
internal static class ConfigText
{
    private const int Width = 116;

    public static string Write(HearthConfig config)
    {
        var text = new StringBuilder("# Hearth's configuration. What is left out has the value given here.\n");
        Section(text, "daemon", config.Daemon, ConfigSchema.Daemon);
        Section(text, "microvm", config.Microvm, ConfigSchema.Microvm);
        Section(text, "oci", config.Oci, ConfigSchema.Oci);
        Section(text, "images", config.Images, ConfigSchema.Images);
        Section(text, "network", config.Network, ConfigSchema.Network);
        text.Append("\n# Registries that are spoken to in another way than by default: a section for each.\n");
        foreach (RegistryConfig registry in config.Registries)
        {
            Section(text, "[registries]", registry, ConfigSchema.Registry);
        }

        if (config.Registries.Count == 0)
        {
            text.Append("# [[registries]]\n");
            var example = new RegistryConfig { Host = "registry.example:5000", Mirrors = ["mirror.example"] };
            foreach (ConfigKey<RegistryConfig> key in ConfigSchema.Registry)
            {
                text.Append($"# {key.Name} = {Value(key.Get(example))}{(key.Comment.Length == 0 ? "" : $"  # {key.Comment}")}\n");
            }
        }

        return text.ToString();
    }

    private static void Section<T>(StringBuilder text, string name, T record, ConfigKey<T>[] keys)
    {
        text.Append($"\n[{name}]\n");
        foreach (ConfigKey<T> key in keys)
        {
            Comment(text, key.Comment);
            text.Append($"{key.Name} = {Value(key.Get(record))}\n");
        }
    }

    private static void Comment(StringBuilder text, string comment)
    {
        int length = 0;
        foreach (string word in comment.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (length == 0 || length + 1 + word.Length > Width)
            {
                text.Append(length == 0 ? "# " : "\n# ");
                length = 2 + word.Length;
            }
            else
            {
                text.Append(' ');
                length += 1 + word.Length;
            }

            text.Append(word);
        }

        text.Append(length == 0 ? "" : "\n");
    }

    private static string Value(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        string one => Quote(one),
        IReadOnlyList<string> list => $"[{string.Join(", ", list.Select(Quote))}]",
        _ => value.ToString()!,
    };

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
        {
            quoted.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                < ' ' or '\x7f' => $"\\u{(int)c:x4}",
                _ => c,
            });
        }

        return quoted.Append('"').ToString();
    }
}
