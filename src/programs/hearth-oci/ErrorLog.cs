using System.Text.Json;

namespace Hearth.Programs.Oci;

/// <summary>Where managers look for why a call failed: <c>--log</c>, in the form of <c>--log-format</c>.</summary>
internal static class ErrorLog
{
    public static void Write(string? path, string? format, string message)
    {
        Console.Error.WriteLine($"hearth-oci: {message}");
        if (path is null)
        {
            return;
        }

        try
        {
            File.AppendAllText(path, format == "json" ? Json(message) + "\n" : $"time=\"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ssZ}\" level=error msg=\"{message.Replace("\"", "\\\"")}\"\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It was said on standard error.
        }
    }

    private static string Json(string message)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteString("level", "error");
            json.WriteString("msg", message);
            json.WriteString("time", DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(text.ToArray());
    }
}
