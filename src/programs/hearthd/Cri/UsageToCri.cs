using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>Usage in CRI's words.</summary>
internal static class UsageToCri
{
    public static ContainerStats Container(ContainerUsage usage)
    {
        long time = ToCri.Time(usage.TakenAt);
        return new ContainerStats
        {
            Attributes = ToCri.Attributes(usage.Container),
            Cpu = Cpu(usage.Cpu, time),
            Memory = Memory(usage.Memory, time),
            WritableLayer = new FilesystemUsage
            {
                Timestamp = time,
                FsId = new FilesystemIdentifier { Mountpoint = usage.WritableMountpoint },
                UsedBytes = ToCri.Number(usage.WritableBytes),
                InodesUsed = ToCri.Number(usage.WritableInodes),
            },
            // Guests have no swap: that none is used is a fact.
            Swap = new SwapUsage { Timestamp = time, SwapAvailableBytes = ToCri.Number(0), SwapUsageBytes = ToCri.Number(0) },
        };
    }

    public static PodSandboxStats Pod(PodUsage usage)
    {
        long time = ToCri.Time(usage.TakenAt);
        var linux = new LinuxPodSandboxStats
        {
            Cpu = Cpu(usage.Cpu, time),
            Memory = Memory(usage.Memory, time),
            Network = Network(usage, time),
            Process = new ProcessUsage { Timestamp = time, ProcessCount = ToCri.Number(usage.Pids) },
        };
        linux.Containers.Add(usage.Containers.Select(Container));
        return new PodSandboxStats { Attributes = ToCri.Attributes(usage.Pod), Linux = linux };
    }

    private static NetworkUsage? Network(PodUsage usage, long time)
    {
        if (usage.Interfaces.Count == 0)
        {
            return null;
        }

        var network = new NetworkUsage { Timestamp = time, DefaultInterface = Interface(usage.Interfaces[0]) };
        network.Interfaces.Add(usage.Interfaces.Skip(1).Select(Interface));
        return network;
    }

    private static NetworkInterfaceUsage Interface(InterfaceUse use) => new()
    {
        Name = use.Name,
        RxBytes = ToCri.Number(use.ReceivedBytes),
        RxErrors = ToCri.Number(use.ReceivedErrors),
        TxBytes = ToCri.Number(use.SentBytes),
        TxErrors = ToCri.Number(use.SentErrors),
    };

    private static CpuUsage Cpu(CpuUse use, long time) => new()
    {
        Timestamp = time,
        UsageCoreNanoSeconds = ToCri.Number(use.Nanoseconds),
        UsageNanoCores = use.NanoCores is { } cores ? ToCri.Number(cores) : null,
    };

    private static MemoryUsage Memory(MemoryUse use, long time) => new()
    {
        Timestamp = time,
        WorkingSetBytes = ToCri.Number(use.WorkingSet),
        AvailableBytes = use.Available is { } available ? ToCri.Number(available) : null,
        UsageBytes = ToCri.Number(use.Usage),
        RssBytes = ToCri.Number(use.Rss),
        PageFaults = ToCri.Number(use.PageFaults),
        MajorPageFaults = ToCri.Number(use.MajorPageFaults),
    };
}
