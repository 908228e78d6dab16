using Hearth.Vmm.Mmds;
using Hearth.Vmm.Telemetry;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Configuration;

/// <summary>
/// The validated configuration of a microVM: what the actions before InstanceStart accumulate, and what a machine is
/// built from. It knows no device: each keeps its own record type here. Thread: the API thread.
/// </summary>
public sealed class VmResources
{
    private readonly List<IDeviceConfig> _devices = [];

    public VmResources(InstanceOptions options, Logger log)
    {
        Options = options;
        Log = log;
        Metadata = new MmdsService(options.MmdsSizeLimit);
        Metrics = new MonitorMetrics(options.Id, log.Metrics, Metadata.Metrics);
    }

    public InstanceOptions Options { get; }

    public MachineConfig Machine { get; set; } = new();

    /// <summary>Null until PUT <c>/boot-source</c>.</summary>
    public BootSourceConfig? BootSource { get; set; }

    public SerialConfig Serial { get; set; } = new();

    /// <summary>As it was last configured; null until then.</summary>
    public LoggerConfig? Logger { get; set; }

    /// <summary>The monitor's log, which exists before any configuration.</summary>
    public Logger Log { get; }

    /// <summary>The metrics file, which is not there before PUT <c>/metrics</c>.</summary>
    public MonitorMetrics Metrics { get; }

    /// <summary>The metadata service; no guest reaches it before <see cref="Mmds"/> is set.</summary>
    public MmdsService Metadata { get; }

    /// <summary>Who reaches the metadata service and where; null until PUT <c>/mmds/config</c>.</summary>
    public MmdsConfig? Mmds { get; set; }

    /// <summary>The devices of one kind, in the order the guest shall find them.</summary>
    public IEnumerable<T> Devices<T>()
        where T : IDeviceConfig => _devices.OfType<T>();

    /// <summary>The device of one kind and id, or null.</summary>
    public T? FindDevice<T>(string id)
        where T : class, IDeviceConfig => Devices<T>().FirstOrDefault(device => device.Id == id);

    /// <summary>Adds a device, or replaces the one of the same kind and id.</summary>
    /// <param name="config">The device.</param>
    /// <param name="first">Puts it before all others of its kind, as a root drive must be.</param>
    public void PutDevice<T>(T config, bool first = false)
        where T : class, IDeviceConfig
    {
        int old = _devices.FindIndex(device => device is T && device.Id == config.Id);
        if (old >= 0 && !first)
        {
            _devices[old] = config;
            return;
        }

        if (old >= 0)
        {
            _devices.RemoveAt(old);
        }

        _devices.Insert(first ? 0 : _devices.Count, config);
    }
}
