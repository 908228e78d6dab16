using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Hearth.Vmm.Actions;

namespace Hearth.Vmm.Api.Http;

/// <summary>
/// Answers as Firecracker's clients know them: a status line without a reason phrase, the same headers in the same
/// order. Source: Firecracker's micro-http, response.rs.
/// </summary>
internal static class HttpResponse
{
    // Only for one user on a local socket: quotes and apostrophes stay readable.
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What a client hears that is one too many.</summary>
    public static byte[] TooManyConnections { get; } =
        "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{ \"error\": \"Too many open connections\" }"u8.ToArray();

    public static byte[] Continue { get; } = Build(100, default, keepAlive: true);

    /// <summary>What an action said.</summary>
    public static byte[] From(VmmResponse response, bool keepAlive)
    {
        var body = new ArrayBufferWriter<byte>();
        switch (response)
        {
            case VmmEmpty:
                return Build(204, default, keepAlive, response.IsDeprecated);
            case VmmPayload payload:
                using (var json = new Utf8JsonWriter(body, s_json))
                {
                    payload.Body.WriteTo(json);
                }

                return Build(200, body.WrittenSpan, keepAlive, response.IsDeprecated);
            case VmmFault fault:
                using (var json = new Utf8JsonWriter(body, s_json))
                {
                    json.WriteStartObject();
                    json.WriteString("fault_message", fault.Message);
                    json.WriteEndObject();
                }

                return Build(fault.Status, body.WrittenSpan, keepAlive, response.IsDeprecated);
            default:
                throw new ArgumentOutOfRangeException(nameof(response));
        }
    }

    /// <summary>What HTTP forbids. The line break inside the string is Firecracker's, and makes it no JSON.</summary>
    public static byte[] FromFault(HttpFaultException fault) =>
        Build(400, Encoding.UTF8.GetBytes($"{{ \"error\": \"{fault.Message}\nAll previous unanswered requests will be dropped.\" }}"), keepAlive: fault.IsRecoverable);

    private static byte[] Build(int status, ReadOnlySpan<byte> body, bool keepAlive, bool isDeprecated = false)
    {
        var head = new StringBuilder(160);
        head.Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} \r\n");
        head.Append("Server: Firecracker API\r\nConnection: ").Append(keepAlive ? "keep-alive" : "close").Append("\r\n");
        head.Append(isDeprecated ? "Deprecation: true\r\n" : string.Empty);
        if (!body.IsEmpty)
        {
            head.Append(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n");
        }

        head.Append("\r\n");
        byte[] bytes = new byte[head.Length + body.Length];
        Encoding.ASCII.GetBytes(head.ToString(), bytes);
        body.CopyTo(bytes.AsSpan(head.Length));
        return bytes;
    }
}
