using System.Text.Json;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// How a streamed command ended, as the last message of the <c>error</c> stream: the JSON form of Kubernetes' <c>Status</c>,
/// since v4 of the protocol.
/// </summary>
internal static class CommandStatus
{
    /// <param name="exitCode">Of an exec; 0 is success.</param>
    public static byte[] Exited(int exitCode) => exitCode == 0
        ? Write(static json => json.WriteString("status", "Success"))
        : Write(json =>
        {
            json.WriteString("status", "Failure");
            json.WriteString("message", $"command terminated with non-zero exit code: exit status {exitCode}");
            json.WriteString("reason", "NonZeroExitCode");
            json.WriteStartObject("details");
            json.WriteStartArray("causes");
            json.WriteStartObject();
            json.WriteString("reason", "ExitCode");
            json.WriteString("message", exitCode.ToString(System.Globalization.CultureInfo.InvariantCulture));
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        });

    /// <summary>It could not be done.</summary>
    public static byte[] Failed(string message) => Write(json =>
    {
        json.WriteString("status", "Failure");
        json.WriteString("message", message);
        json.WriteString("reason", "InternalError");
        json.WriteNumber("code", 500);
    });

    private static byte[] Write(Action<Utf8JsonWriter> members)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteEndObject();
            members(json);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }
}
