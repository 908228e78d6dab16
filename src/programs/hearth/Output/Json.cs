using System.Text;
using System.Text.Json;
using Google.Protobuf;

namespace Hearth.Programs.Hearth.Output;

/// <summary>JSON for machines: CRI's messages under CRI's own names, as crictl prints them.</summary>
internal static class Json
{
    private static readonly JsonFormatter s_formatter = new(JsonFormatter.Settings.Default.WithIndentation("  ").WithFormatDefaultValues(true));
    private static readonly JsonFormatter s_line = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    public static string Of(IMessage message) => s_formatter.Format(message);

    /// <summary>Without line breaks: one message of many.</summary>
    public static string Line(IMessage message) => s_line.Format(message);

    /// <summary>Writes a document.</summary>
    public static string Write(Action<Utf8JsonWriter> content, bool indented = true)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = indented }))
        {
            content(json);
        }

        return Encoding.UTF8.GetString(text.GetBuffer().AsSpan(0, (int)text.Length));
    }

    /// <summary>A message as a property's value.</summary>
    public static void WriteMessage(Utf8JsonWriter json, string name, IMessage? message)
    {
        json.WritePropertyName(name);
        if (message is null)
        {
            json.WriteNullValue();
        }
        else
        {
            json.WriteRawValue(s_line.Format(message));
        }
    }

    /// <summary>CRI's verbose info: texts, of which many are JSON themselves.</summary>
    public static void WriteInfo(Utf8JsonWriter json, string name, IEnumerable<KeyValuePair<string, string>> info)
    {
        json.WriteStartObject(name);
        foreach ((string key, string value) in info)
        {
            json.WritePropertyName(key);
            if (IsJson(value))
            {
                json.WriteRawValue(value);
            }
            else
            {
                json.WriteStringValue(value);
            }
        }

        json.WriteEndObject();
    }

    private static bool IsJson(string value)
    {
        if (value.AsSpan().TrimStart() is not ['{' or '[', ..])
        {
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(value);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
