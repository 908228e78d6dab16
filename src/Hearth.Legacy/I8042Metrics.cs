using Hearth.Platform.Telemetry;

namespace Hearth.Legacy;

/// <summary>The keyboard controller's counters, under Firecracker's names.</summary>
public sealed class I8042Metrics : MetricGroup
{
    public I8042Metrics()
        : base("i8042")
    {
        ErrorCount = Counter("error_count");
        MissedReadCount = Counter("missed_read_count");
        MissedWriteCount = Counter("missed_write_count");
        ReadCount = Counter("read_count");
        ResetCount = Counter("reset_count");
        WriteCount = Counter("write_count");
    }

    /// <summary>Keys that could not be typed because the guest had not read those before.</summary>
    public MetricCounter ErrorCount { get; }

    /// <summary>Reads of a size or register that is not there.</summary>
    public MetricCounter MissedReadCount { get; }

    /// <summary>Writes of a size or register that is not there.</summary>
    public MetricCounter MissedWriteCount { get; }

    public MetricCounter ReadCount { get; }

    /// <summary>Times the guest pulled the reset line.</summary>
    public MetricCounter ResetCount { get; }

    public MetricCounter WriteCount { get; }
}
