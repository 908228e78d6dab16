using System.Globalization;
using System.Text;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Api;

/// <summary>Says in the log what each client asked and was told, in Firecracker's words. Thread: the API thread.</summary>
public static class RequestLog
{
    // The log's lines are short anyhow; no need to escape a whole document for them.
    private const int MaxBodyShown = 1024;

    /// <summary>Answers one request by <see cref="RouteTable"/>.</summary>
    public static VmmResponse Handle(HttpRequest request, VmmController controller, VmResources resources)
    {
        Logger log = resources.Log;
        if (log.IsEnabled(LogLevel.Info))
        {
            log.Info($"The API server received a {Describe(request)}.");
        }

        VmmResponse response = RouteTable.Handle(request, controller.Run, resources.Metrics);
        switch (response)
        {
            case VmmFault fault:
                string reason = fault.Status == 413 ? "Payload too large" : "Bad Request";
                log.Error(string.Create(CultureInfo.InvariantCulture, $"Received Error. Status code: {fault.Status} {reason}. Message: {fault.Message}"));
                break;
            case VmmPayload:
                log.Info("The request was executed successfully. Status code: 200 OK.");
                break;
            default:
                log.Info("The request was executed successfully. Status code: 204 No Content.");
                break;
        }

        return response;
    }

    // Metadata is not shown: it may hold secrets.
    private static string Describe(HttpRequest request)
    {
        string method = request.Method[..1] + request.Method[1..].ToLowerInvariant();
        string what = $"{method} request on \"{request.Path}\"";
        return request.Body.Length == 0 || request.Path.TrimEnd('/') == "/mmds" ? what : $"{what} with body \"{Escape(request.Body)}\"";
    }

    private static string Escape(byte[] body)
    {
        string text = Encoding.UTF8.GetString(body, 0, Math.Min(body.Length, MaxBodyShown));
        var escaped = new StringBuilder(text.Length + 16);
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' or '\\' => escaped.Append('\\').Append(c),
                '\n' => escaped.Append("\\n"),
                '\r' => escaped.Append("\\r"),
                '\t' => escaped.Append("\\t"),
                < ' ' or '\x7f' => escaped.Append(CultureInfo.InvariantCulture, $"\\u{{{(int)c:x}}}"),
                _ => escaped.Append(c),
            };
        }

        return escaped.Append(body.Length > MaxBodyShown ? "…" : string.Empty).ToString();
    }
}
