using System.Text.Json;
using Hearth.Programs.Daemon.Telemetry;
using Microsoft.Extensions.Logging;

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
    public void Labels_are_escaped()
    {
        var text = new PrometheusText();
        text.Family("x", "gauge", "A\nb.");
        text.Sample("x", 1.5, ("l", "a\"b\\c\nd"));

        Assert.Equal("# HELP x A\\nb.\n# TYPE x gauge\nx{l=\"a\\\"b\\\\c\\nd\"} 1.5\n", text.ToString());
    }
}
