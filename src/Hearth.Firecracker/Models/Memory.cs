namespace Hearth.Firecracker.Models;

/// <summary>The memory balloon.</summary>
public sealed record Balloon
{
    public required long AmountMib { get; init; }

    /// <summary>Whether the guest may take memory back before it kills for want of it.</summary>
    public required bool DeflateOnOom { get; init; }

    /// <summary>Seconds; 0 for no statistics.</summary>
    public int? StatsPollingIntervalS { get; init; }

    public bool? FreePageHinting { get; init; }

    public bool? FreePageReporting { get; init; }
}

/// <summary>The balloon's new size.</summary>
public sealed record BalloonUpdate
{
    public required long AmountMib { get; init; }
}

/// <summary>How often the guest reports statistics.</summary>
public sealed record BalloonStatsUpdate
{
    public required int StatsPollingIntervalS { get; init; }
}

/// <summary>The balloon, and what the guest reports; what it does not report is null.</summary>
public sealed record BalloonStats
{
    /// <summary>Pages of 4 KiB.</summary>
    public required long TargetPages { get; init; }

    public required long ActualPages { get; init; }

    public required long TargetMib { get; init; }

    public required long ActualMib { get; init; }

    public long? SwapIn { get; init; }

    public long? SwapOut { get; init; }

    public long? MajorFaults { get; init; }

    public long? MinorFaults { get; init; }

    public long? FreeMemory { get; init; }

    public long? TotalMemory { get; init; }

    public long? AvailableMemory { get; init; }

    public long? DiskCaches { get; init; }

    public long? HugetlbAllocations { get; init; }

    public long? HugetlbFailures { get; init; }

    public long? OomKill { get; init; }

    public long? AllocStall { get; init; }

    public long? AsyncScan { get; init; }

    public long? DirectScan { get; init; }

    public long? AsyncReclaim { get; init; }

    public long? DirectReclaim { get; init; }
}

/// <summary>Starts a run of free page hinting.</summary>
public sealed record BalloonStartCmd
{
    public bool? AcknowledgeOnStop { get; init; }
}

/// <summary>Where a run of free page hinting is.</summary>
public sealed record BalloonHintingStatus
{
    public required long HostCmd { get; init; }

    public long? GuestCmd { get; init; }
}

/// <summary>The virtio-mem device.</summary>
public sealed record MemoryHotplugConfig
{
    public long? TotalSizeMib { get; init; }

    /// <summary>128 or more.</summary>
    public long? SlotSizeMib { get; init; }

    /// <summary>2 or more.</summary>
    public long? BlockSizeMib { get; init; }
}

/// <summary>How much memory is to be plugged.</summary>
public sealed record MemoryHotplugSizeUpdate
{
    public long? RequestedSizeMib { get; init; }
}

/// <summary>The virtio-mem device, and how far the guest is.</summary>
public sealed record MemoryHotplugStatus
{
    public long? TotalSizeMib { get; init; }

    public long? SlotSizeMib { get; init; }

    public long? BlockSizeMib { get; init; }

    public long? PluggedSizeMib { get; init; }

    public long? RequestedSizeMib { get; init; }
}
