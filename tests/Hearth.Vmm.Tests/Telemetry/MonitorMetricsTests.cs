using System.Diagnostics;
using System.Text.Json.Nodes;
using Hearth.Virtio.Block;
using Hearth.Virtio.Net;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Tests.Telemetry;

public sealed class MonitorMetricsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-metrics-").FullName;
    private readonly LoggerMetrics _logger = new();
    private readonly MonitorMetrics _metrics;

    public MonitorMetricsTests() => _metrics = new MonitorMetrics("vm-1", _logger);

    private string File => Path.Combine(_folder, "metrics");

    public void Dispose()
    {
        _metrics.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_line_says_what_was_added_since_the_last()
    {
        Configure();
        _metrics.Vcpu.ExitIoIn.Add(5);
        _metrics.Latencies.PauseVm.Set(7);
        _metrics.Flush();
        _metrics.Vcpu.ExitIoIn.Add(2);
        _metrics.Flush();
        _metrics.Flush();
        JsonNode[] lines = Lines();
        Assert.Equal([5, 2, 0], lines.Select(line => (long)line["vcpu"]!["exit_io_in"]!));
        Assert.Equal([7, 7, 7], lines.Select(line => (long)line["latencies_us"]!["pause_vm"]!));
        Assert.InRange((long)lines[0]["utc_timestamp_ms"]!, 1_700_000_000_000, long.MaxValue);
    }

    [Fact]
    public void Devices_of_a_kind_stand_under_their_ids_and_as_a_sum()
    {
        BlockMetrics a = new(), b = new();
        _metrics.AddMachine([], () => [new DeviceMetrics(new BlockMetrics(), [("a", a), ("b", b)]), new DeviceMetrics(new NetMetrics(), [])]);
        Configure();
        a.ReadCount.Add(3);
        b.ReadCount.Add(4);
        _metrics.Flush();
        a.ReadCount.Increment();
        _metrics.Flush();
        JsonNode[] lines = Lines();
        Assert.Equal((7, 3, 4), Reads(lines[0]));
        Assert.Equal((1, 1, 0), Reads(lines[1]));
        Assert.Equal(0, (long)lines[0]["net"]!["rx_count"]!);

        static (long All, long A, long B) Reads(JsonNode line) =>
            ((long)line["block"]!["read_count"]!, (long)line["block_a"]!["read_count"]!, (long)line["block_b"]!["read_count"]!);
    }

    [Fact]
    public void A_line_that_a_fifo_has_no_room_for_is_counted_and_its_numbers_come_later()
    {
        using (Process make = Process.Start("mkfifo", [File]))
        {
            make.WaitForExit();
        }

        using FileStream reader = new(File, FileMode.Open, FileAccess.ReadWrite);
        Configure();
        int flushes = 0;
        for (; _logger.MissedMetricsCount.Value < 3; flushes++)
        {
            Assert.InRange(flushes, 0, 1000);
            _metrics.Vcpu.ExitIoIn.Add(1);
            _metrics.Flush();
        }

        // Read until the line that was cut is whole, and one more line came after it.
        var text = new System.Text.StringBuilder();
        byte[] buffer = new byte[65536];
        while (text.ToString().Count(c => c == '\n') < flushes - 3 + 1)
        {
            text.Append(System.Text.Encoding.UTF8.GetString(buffer, 0, reader.Read(buffer)));
            _metrics.Flush();
        }

        JsonNode[] lines = [.. text.ToString().Split('\n')[..^1].Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(flushes, lines.Sum(line => (long)line["vcpu"]!["exit_io_in"]!));
        Assert.Equal(3, lines.Sum(line => (long)line["logger"]!["missed_metrics_count"]!));
    }

    [Fact]
    public void The_file_is_chosen_once_and_must_open()
    {
        ConfigurationException refused = Assert.Throws<ConfigurationException>(() => _metrics.Configure(new MetricsConfig { MetricsPath = _folder + "/no/such" }));
        Assert.StartsWith("Cannot initialize metrics system due to bad user input: ", refused.Message, StringComparison.Ordinal);
        Configure();
        refused = Assert.Throws<ConfigurationException>(Configure);
        Assert.Equal("Cannot initialize metrics system due to bad user input: Reinitialization of metrics not allowed.", refused.Message);
    }

    [Fact]
    public void The_end_writes_a_last_line_with_id_and_properties()
    {
        _metrics.Configure(new MetricsConfig { MetricsPath = File, EmitId = true, Properties = [new("pod", "a\"b")] });
        _metrics.Dispose();
        JsonNode line = Assert.Single(Lines());
        Assert.Equal("vm-1", (string?)line["id"]);
        Assert.Equal("a\"b", (string?)line["properties"]!["pod"]);
    }

    private void Configure() => _metrics.Configure(new MetricsConfig { MetricsPath = File });

    private JsonNode[] Lines() => [.. System.IO.File.ReadAllLines(File).Select(line => JsonNode.Parse(line)!)];
}
