using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Channels;
using Grpc.Core;
using Hearth.Linux;

namespace Hearth.Programs.Daemon.Telemetry;

/// <summary>
/// A span for each call of CRI, sent as OTLP over HTTP in its JSON form (<c>POST ENDPOINT/v1/traces</c>). A call that came with a
/// <c>traceparent</c> belongs to its client's trace, and is left out if the client does not sample. What an endpoint does not take
/// in time is dropped: calls never wait for it. Thread: any.
/// </summary>
internal sealed partial class CallTraces : IAsyncDisposable
{
    private const int MaxWaiting = 2048;
    private const int MaxBatch = 512;
    private const int SpanKindServer = 2;
    private const int StatusError = 2;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(10);

    private readonly Channel<Span> _spans = Channel.CreateBounded<Span>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly HttpClient _client = new() { Timeout = s_timeout };
    private readonly CancellationTokenSource _end = new();
    private readonly Uri _target;
    private readonly string _version;
    private readonly ILogger _log;
    private readonly Task _sending;

    /// <param name="endpoint">As <c>http://127.0.0.1:4318</c>.</param>
    /// <param name="version">The program's.</param>
    /// <param name="log">Told when the endpoint stops taking spans.</param>
    /// <exception cref="HearthException">It is no HTTP address.</exception>
    public CallTraces(string endpoint, string version, ILogger log)
    {
        if (!Uri.TryCreate(endpoint.TrimEnd('/') + "/v1/traces", UriKind.Absolute, out Uri? target) || target.Scheme is not ("http" or "https"))
        {
            throw new HearthException($"daemon.traces_endpoint is {endpoint}, which is no address of OTLP over HTTP, as http://127.0.0.1:4318.");
        }

        _target = target;
        _version = version;
        _log = log;
        _sending = SendAllAsync();
    }

    /// <param name="method">As gRPC has it.</param>
    /// <param name="code">How it ended.</param>
    /// <param name="duration">It ended now.</param>
    /// <param name="traceParent">The client's header (W3C trace context); null for none.</param>
    public void Add(string method, StatusCode code, TimeSpan duration, string? traceParent)
    {
        string[] parts = traceParent?.Split('-') ?? [];
        bool joined = parts is ["00", { Length: 32 }, { Length: 16 }, { Length: 2 }] && parts.All(static part => part.All(char.IsAsciiHexDigitLower));
        if (joined && (int.Parse(parts[3], NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 1) == 0)
        {
            return;
        }

        DateTimeOffset end = DateTimeOffset.UtcNow;
        _spans.Writer.TryWrite(new Span(
            method.TrimStart('/'), code, joined ? parts[1] : Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)), joined ? parts[2] : "", end - duration, end));
    }

    /// <summary>Sends what is left.</summary>
    public async ValueTask DisposeAsync()
    {
        _spans.Writer.Complete();
        await _end.CancelAsync().ConfigureAwait(false);
        await _sending.ConfigureAwait(false);
        _client.Dispose();
        _end.Dispose();
    }

    private async Task SendAllAsync()
    {
        bool taken = true;
        while (await _spans.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            try
            {
                // Together with those that come soon.
                await Task.Delay(s_interval, _end.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // The daemon ends: these are the last.
            }

            var batch = new List<Span>();
            while (batch.Count < MaxBatch && _spans.Reader.TryRead(out Span? span))
            {
                batch.Add(span);
            }

            string? problem = await SendAsync(batch).ConfigureAwait(false);
            if (problem is not null && taken)
            {
                LogRefused(_target, problem);
            }

            taken = problem is null;
        }
    }

    private async Task<string?> SendAsync(List<Span> batch)
    {
        try
        {
            using var body = new ByteArrayContent(Write(batch));
            body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            using HttpResponseMessage response = await _client.PostAsync(_target, body).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? null : $"it answered {(int)response.StatusCode}";
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            return e.Message;
        }
    }

    private byte[] Write(List<Span> batch)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartObject();
        json.WriteStartArray("resourceSpans");
        json.WriteStartObject();
        json.WriteStartObject("resource");
        json.WriteStartArray("attributes");
        Attribute(json, "service.name", "hearthd");
        Attribute(json, "service.version", _version);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartArray("scopeSpans");
        json.WriteStartObject();
        json.WriteStartArray("spans");
        foreach (Span span in batch)
        {
            Write(json, span);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return bytes.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter json, Span span)
    {
        json.WriteStartObject();
        json.WriteString("traceId", span.TraceId);
        json.WriteString("spanId", Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)));
        if (span.Parent.Length > 0)
        {
            json.WriteString("parentSpanId", span.Parent);
        }

        json.WriteString("name", span.Method);
        json.WriteNumber("kind", SpanKindServer);
        json.WriteString("startTimeUnixNano", Nanoseconds(span.Start));
        json.WriteString("endTimeUnixNano", Nanoseconds(span.End));
        json.WriteStartArray("attributes");
        Attribute(json, "rpc.system", "grpc");
        Attribute(json, "rpc.grpc.status_code", ((int)span.Code).ToString(CultureInfo.InvariantCulture));
        json.WriteEndArray();
        json.WriteStartObject("status");
        if (span.Code != StatusCode.OK)
        {
            json.WriteNumber("code", StatusError);
            json.WriteString("message", span.Code.ToString());
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Attribute(Utf8JsonWriter json, string key, string value)
    {
        json.WriteStartObject();
        json.WriteString("key", key);
        json.WriteStartObject("value");
        json.WriteString("stringValue", value);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // 64-bit numbers are text in OTLP's JSON.
    private static string Nanoseconds(DateTimeOffset time) => Cri.ToCri.Time(time).ToString(CultureInfo.InvariantCulture);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Traces are dropped: {Target} does not take them: {Problem}")]
    private partial void LogRefused(Uri target, string problem);

    private sealed record Span(string Method, StatusCode Code, string TraceId, string Parent, DateTimeOffset Start, DateTimeOffset End);
}
