using System.Globalization;
using System.Text.Json;

namespace Hearth.Programs.Hearth.Streaming;

/// <summary>How a streamed command ended, from the last message of its <c>error</c> channel: Kubernetes' <c>Status</c>, as JSON.</summary>
/// <param name="ExitStatus">The command's.</param>
/// <param name="Failure">Why there is none; null if there is.</param>
internal readonly record struct CommandResult(int ExitStatus, string? Failure)
{
    public static CommandResult Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            if (Text(root, "status") == "Success")
            {
                return default;
            }

            if (Text(root, "reason") == "NonZeroExitCode" && root.TryGetProperty("details", out JsonElement details) && details.TryGetProperty("causes", out JsonElement causes)
                && causes.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement cause in causes.EnumerateArray())
                {
                    if (Text(cause, "reason") == "ExitCode" && int.TryParse(Text(cause, "message"), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int status))
                    {
                        return new CommandResult(status, null);
                    }
                }
            }

            return new CommandResult(-1, Text(root, "message") ?? "hearthd says that it failed, and not why.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return new CommandResult(-1, System.Text.Encoding.UTF8.GetString(json.Span));
        }
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
