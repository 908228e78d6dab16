using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Hearth.Linux;
using Hearth.Programs.Daemon.Telemetry;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Hearth.Daemon.Tests.Telemetry;

/// <summary>Logs and the metrics' text.</summary>
public class TelemetryTests
{
    [Fact]
    public void A_message_is_one_line_whatever_is_in_it()
    {
        using var output = new StringWriter();
        using var log = new StderrLog(output, json: false, TimeProvider.System);

        log.CreateLogger("Hearth.X").LogWarning(new InvalidOperationException("a\nb"), "It {Name} failed", "one\ntwo");

        string[] lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string line = Assert.Single(lines);
        Assert.Matches("^....-..-..T..:..:..\\....Z warning X: It one \\| two failed: ", line);
    }

    [Fact]
    public void As_JSON_it_has_its_values_by_name()
    {
        using var output = new StringWriter();
        using var log = new StderrLog(output, json: true, TimeProvider.System);

        log.CreateLogger("cri").LogInformation("Pulled {Image}", "x\"y");

        JsonElement line = JsonDocument.Parse(output.ToString()).RootElement;
        Assert.Equal(("info", "cri", "Pulled x\"y", "x\"y"), (
            line.GetProperty("level").GetString(),
            line.GetProperty("logger").GetString(),
            line.GetProperty("message").GetString(),
            line.GetProperty("values").GetProperty("Image").GetString()));
    }

    [Fact]
    public async Task Calls_become_spans_of_their_clients_trace()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        const string Sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        var traces = new CallTraces($"http://{listener.LocalEndpoint}/", "1", NullLogger.Instance);
        traces.Add("/runtime.v1.RuntimeService/Version", StatusCode.OK, TimeSpan.FromSeconds(1), Sampled);
        traces.Add("/runtime.v1.RuntimeService/Status", StatusCode.NotFound, TimeSpan.Zero, "nonsense");
        traces.Add("/runtime.v1.RuntimeService/Attach", StatusCode.OK, TimeSpan.Zero, Sampled[..^2] + "00");
        ValueTask end = traces.DisposeAsync();
        JsonElement[] spans = [.. (await ReceiveAsync(listener)).GetProperty("resourceSpans")[0].GetProperty("scopeSpans")[0].GetProperty("spans").EnumerateArray()];
        await end;

        Assert.Equal(["runtime.v1.RuntimeService/Version", "runtime.v1.RuntimeService/Status"], spans.Select(static span => span.GetProperty("name").GetString()));
        Assert.Equal(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"), (spans[0].GetProperty("traceId").GetString(), spans[0].GetProperty("parentSpanId").GetString()));
        Assert.Equal(1_000_000_000, long.Parse(spans[0].GetProperty("endTimeUnixNano").GetString()!) - long.Parse(spans[0].GetProperty("startTimeUnixNano").GetString()!));
        Assert.Equal(2, spans[1].GetProperty("status").GetProperty("code").GetInt32());
        Assert.Equal(32, spans[1].GetProperty("traceId").GetString()!.Length);
    }

    [Fact]
    public void What_is_no_endpoint_is_refused() =>
        Assert.Throws<HearthException>(() => new CallTraces("127.0.0.1:4317", "1", NullLogger.Instance));

    [Fact]
    public void Labels_are_escaped()
    {
        var text = new PrometheusText();
        text.Family("x", "gauge", "A\nb.");
        text.Sample("x", 1.5, ("l", "a\"b\\c\nd"));

        Assert.Equal("# HELP x A\\nb.\n# TYPE x gauge\nx{l=\"a\\\"b\\\\c\\nd\"} 1.5\n", text.ToString());
    }

    /// <summary>Takes one request with a body of JSON.</summary>
    private static async Task<JsonElement> ReceiveAsync(TcpListener listener)
    {
        using TcpClient client = await listener.AcceptTcpClientAsync();
        using NetworkStream stream = client.GetStream();
        var received = new MemoryStream();
        var buffer = new byte[4096];
        while (true)
        {
            int count = await stream.ReadAsync(buffer);
            Assert.NotEqual(0, count);
            received.Write(buffer, 0, count);
            string text = Encoding.UTF8.GetString(received.ToArray());
            int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            if (body < 4 || !text.EndsWith("]}", StringComparison.Ordinal))
            {
                continue;
            }

            Assert.StartsWith("POST /v1/traces HTTP/1.1\r\n", text, StringComparison.Ordinal);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"u8.ToArray());
            return JsonDocument.Parse(text[body..]).RootElement;
        }
    }
}
