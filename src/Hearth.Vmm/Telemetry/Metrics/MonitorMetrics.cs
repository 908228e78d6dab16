using System.Buffers;
using System.Text.Json;
using Hearth.Linux;
using Hearth.Platform.Telemetry;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>
/// The metrics file: a line of JSON each 60 seconds, on request and at the end. Counters say how much they grew since
/// the last line. Writing never waits: a line that nobody takes is counted as missed, and its counts are in the next.
/// <para>Shape: <c>{"utc_timestamp_ms": 0, "block": {"read_count": 0}, "block_ID": {…}}</c>: where there may be several
/// devices of a kind, their sum comes first. Source: Firecracker docs/metrics.md.</para>
/// <para>Thread: the API thread; the counters change on any.</para>
/// </summary>
public sealed class MonitorMetrics : IEventHandler, IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(60);
    private static readonly string[] s_getResources = ["instance_info", "machine_cfg", "mmds", "vmm_version"];
    private static readonly string[] s_patchResources = ["drive", "machine_cfg", "mmds", "network"];
    private static readonly string[] s_putResources =
        ["actions", "boot_source", "drive", "logger", "machine_cfg", "metrics", "mmds", "network", "serial", "vsock"];

    private readonly string _id;
    private readonly ArrayBufferWriter<byte> _line = new();
    private readonly List<MetricGroup> _groups;
    private Func<IEnumerable<DeviceMetrics>> _devices = static () => [];
    private TimerFd? _timer;
    private EventLoop? _loop;
    private EventRegistration _registration;
    private LogTarget? _target;

    // The end of a line that a FIFO had no room for.
    private byte[] _rest = [];

    /// <param name="id">The microVM's id.</param>
    /// <param name="logger">What the log lost.</param>
    /// <param name="others">Groups that live as long as this.</param>
    public MonitorMetrics(string id, LoggerMetrics logger, params IEnumerable<MetricGroup> others)
    {
        _id = id;
        Logger = logger;
        _groups = [ApiServer, DeprecatedApi, Get, Patch, Put, Latencies, Logger, Vcpu, Hearth, .. others];
    }

    /// <summary>As it was configured; null until then.</summary>
    public MetricsConfig? Config { get; private set; }

    public ApiServerMetrics ApiServer { get; } = new();

    public DeprecatedApiMetrics DeprecatedApi { get; } = new();

    public ApiMetrics Get { get; } = new("get_api_requests", countsFails: false, s_getResources);

    public ApiMetrics Patch { get; } = new("patch_api_requests", countsFails: true, s_patchResources);

    public ApiMetrics Put { get; } = new("put_api_requests", countsFails: true, s_putResources);

    public LatencyMetrics Latencies { get; } = new();

    public LoggerMetrics Logger { get; }

    public VcpuMetrics Vcpu { get; } = new();

    public HearthMetrics Hearth { get; } = new();

    /// <summary>Lets <paramref name="loop"/>, which outlives this, write the file each minute once there is one.</summary>
    public void Attach(EventLoop loop)
    {
        _loop = loop;
        _timer = new TimerFd();
        _registration = loop.Add(_timer, EpollEvents.In, this);
    }

    /// <summary>Opens the file or FIFO; once.</summary>
    /// <exception cref="ConfigurationException">It cannot be opened, or there is one already.</exception>
    public void Configure(MetricsConfig config)
    {
        const string Prefix = "Cannot initialize metrics system due to bad user input: ";
        if (_target is not null)
        {
            throw new ConfigurationException($"{Prefix}Reinitialization of metrics not allowed.");
        }

        try
        {
            _target = LogTarget.Open(config.MetricsPath);
        }
        catch (LinuxException e)
        {
            throw new ConfigurationException($"{Prefix}Failed to open target file: {e.Message}");
        }

        Config = config;
        _timer?.Arm(s_interval, s_interval);
    }

    /// <summary>Adds the groups of a machine that was built.</summary>
    /// <param name="groups">Those it has one of.</param>
    /// <param name="devices">Those of its devices, asked for at each line.</param>
    public void AddMachine(IEnumerable<MetricGroup> groups, Func<IEnumerable<DeviceMetrics>> devices)
    {
        _groups.AddRange(groups);
        _devices = devices;
    }

    /// <summary>Writes a line now, if there is a file.</summary>
    public void Flush()
    {
        if (_target is null)
        {
            return;
        }

        if (_rest.Length > 0)
        {
            _rest = _rest[_target.WriteSome(_rest)..];
            if (_rest.Length > 0)
            {
                Logger.MissedMetricsCount.Increment();
                return;
            }
        }

        _line.ResetWrittenCount();
        DeviceMetrics[] devices = [.. _devices()];
        using (var json = new Utf8JsonWriter(_line))
        {
            Write(json, devices);
        }

        _line.Write("\n"u8);
        int written = _target.WriteSome(_line.WrittenSpan);
        if (written == 0)
        {
            Logger.MissedMetricsCount.Increment();
            return;
        }

        _rest = _line.WrittenSpan[written..].ToArray();
        foreach (MetricGroup group in _groups.Concat(devices.SelectMany(kind => kind.Devices.Select(device => device.Group))))
        {
            foreach (Metric metric in group.Metrics)
            {
                metric.Reported();
            }
        }
    }

    public void OnReady(EpollEvents events)
    {
        if (_timer!.Drain() > 0)
        {
            Flush();
        }
    }

    public void Dispose()
    {
        Flush();
        if (_timer is not null)
        {
            _loop!.Remove(_registration);
            _timer.Dispose();
        }

        _target?.Dispose();
    }

    private static void WriteGroup(Utf8JsonWriter json, string name, MetricGroup group)
    {
        json.WriteStartObject(name);
        foreach (Metric metric in group.Metrics)
        {
            json.WriteNumber(metric.Name, metric.Report());
        }

        json.WriteEndObject();
    }

    // All groups of a kind are of one type, so that their metrics are in one order.
    private static void WriteSum(Utf8JsonWriter json, DeviceMetrics kind)
    {
        json.WriteStartObject(kind.Total.Name);
        for (int i = 0; i < kind.Total.Metrics.Count; i++)
        {
            long sum = 0;
            foreach ((_, MetricGroup group) in kind.Devices)
            {
                sum += group.Metrics[i].Report();
            }

            json.WriteNumber(kind.Total.Metrics[i].Name, sum);
        }

        json.WriteEndObject();
    }

    private void Write(Utf8JsonWriter json, DeviceMetrics[] devices)
    {
        json.WriteStartObject();
        json.WriteNumber("utc_timestamp_ms", DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
        if (Config!.EmitId)
        {
            json.WriteString("id", _id);
        }

        if (Config.Properties is { } properties)
        {
            json.WriteStringMap("properties", properties);
        }

        foreach (MetricGroup group in _groups)
        {
            WriteGroup(json, group.Name, group);
        }

        foreach (DeviceMetrics kind in devices)
        {
            WriteSum(json, kind);
            foreach ((string? id, MetricGroup group) in kind.Devices)
            {
                if (id is not null)
                {
                    WriteGroup(json, $"{kind.Total.Name}_{id}", group);
                }
            }
        }

        json.WriteEndObject();
    }
}
