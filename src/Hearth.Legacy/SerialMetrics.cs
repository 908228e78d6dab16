using Hearth.Platform.Telemetry;

namespace Hearth.Legacy;

/// <summary>A serial port's counters, under Firecracker's names.</summary>
public sealed class SerialMetrics : MetricGroup
{
    public SerialMetrics()
        : base("uart")
    {
        ErrorCount = Counter("error_count");
        FlushCount = Counter("flush_count");
        MissedReadCount = Counter("missed_read_count");
        MissedWriteCount = Counter("missed_write_count");
        ReadCount = Counter("read_count");
        WriteCount = Counter("write_count");
    }

    /// <summary>Bytes lost: the guest wrote them while the transmitter was full, or looped them back into a full receiver.</summary>
    public MetricCounter ErrorCount { get; }

    /// <summary>Times buffered output was handed on.</summary>
    public MetricCounter FlushCount { get; }

    /// <summary>Reads of a size or register that is not there.</summary>
    public MetricCounter MissedReadCount { get; }

    /// <summary>Writes of a size or register that is not there.</summary>
    public MetricCounter MissedWriteCount { get; }

    /// <summary>Bytes the guest read.</summary>
    public MetricCounter ReadCount { get; }

    /// <summary>Bytes the guest sent.</summary>
    public MetricCounter WriteCount { get; }
}
