using Hearth.Platform.Telemetry;
using Hearth.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;
using Hearth.Virtio.Net;
using Hearth.Virtio.Rng;
using Hearth.Virtio.VhostUser;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Telemetry.Metrics;
using Limiting = Hearth.Virtio.RateLimiting;
using Sockets = Hearth.Virtio.Vsock;

namespace Hearth.Vmm.Devices;

/// <summary>
/// The one list of device kinds: what each makes of the configuration, and what it tells the kernel. A new kind is a
/// room under Hearth.Virtio, an endpoint, and a line in <see cref="s_kinds"/>.
/// </summary>
public static class DeviceCatalog
{
    // In the order the guest finds them.
    private static readonly DeviceKind[] s_kinds =
    [
        new(Drives, RootArguments, new BlockMetrics(), BlockSyscalls.Rules, HasIds: true),
        new(NetworkInterfaces, static _ => [], new NetMetrics(), NetSyscalls.Rules, HasIds: true),
        new(Vsock, static _ => [], new Sockets.VsockMetrics(), Sockets.VsockSyscalls.Rules),
        new(Entropy, static _ => [], new RngMetrics(), RngSyscalls.Rules),
        new(Filesystems, static _ => [], new VhostUserMetrics(FsDevice.MetricsName), VhostUserSyscalls.Rules, HasIds: true),
        // Made among the drives, whose order the guest sees, and counted apart.
        new(static _ => [], static _ => [], new VhostUserMetrics(VhostUserBlockDevice.MetricsName), VhostUserSyscalls.Rules, HasIds: true),
    ];

    private delegate IEnumerable<VirtioDevice> Factory(VmResources resources);

    private delegate IEnumerable<string> Arguments(VmResources resources);

    /// <summary>What each kind needs of the kernel while its guest runs, for the seccomp filters.</summary>
    public static IEnumerable<DeviceSyscalls> Syscalls => s_kinds.Select(static kind => kind.Syscalls);

    /// <summary>Makes every configured device. What it made is its caller's, also when a later one fails.</summary>
    public static IEnumerable<VirtioDevice> Create(VmResources resources)
    {
        foreach (DeviceKind kind in s_kinds)
        {
            foreach (VirtioDevice device in kind.Create(resources))
            {
                yield return device;
            }
        }
    }

    /// <summary>What the kernel must be told about the devices.</summary>
    public static IEnumerable<string> KernelArguments(VmResources resources)
    {
        foreach (DeviceKind kind in s_kinds)
        {
            foreach (string argument in kind.Arguments(resources))
            {
                yield return argument;
            }
        }
    }

    /// <summary>What the devices of each kind count, also of kinds that the machine has none of.</summary>
    public static IEnumerable<DeviceMetrics> Metrics(MmioDevices devices)
    {
        foreach (DeviceKind kind in s_kinds)
        {
            yield return new DeviceMetrics(
                kind.Total,
                [.. devices.All.Where(d => d.Metrics.Name == kind.Total.Name).Select(d => (kind.HasIds ? d.Id : null, d.Metrics))]);
        }
    }

    /// <summary>PATCH /drives on a running machine.</summary>
    public static void UpdateDrive(MmioDevices devices, string driveId, string? path, RateLimiterConfig? rateLimiter)
    {
        if (devices.Find<VhostUserBlockDevice>(driveId) is { } remote)
        {
            remote.Refresh();
            return;
        }

        BlockDevice drive = devices.Find<BlockDevice>(driveId) ?? throw new ConfigurationException($"There is no drive with the id {driveId}.");
        if (path is not null)
        {
            drive.UpdatePath(path);
        }

        if (Limits(rateLimiter) is { } limits)
        {
            drive.UpdateRateLimiter(limits);
        }
    }

    /// <summary>PATCH /network-interfaces on a running machine.</summary>
    public static void UpdateNetworkInterface(MmioDevices devices, string ifaceId, RateLimiterConfig? rx, RateLimiterConfig? tx)
    {
        NetDevice nic = devices.Find<NetDevice>(ifaceId) ?? throw new ConfigurationException($"There is no network interface with the id {ifaceId}.");
        nic.UpdateRateLimiters(Limits(rx), Limits(tx));
    }

    private static IEnumerable<VirtioDevice> Drives(VmResources resources)
    {
        foreach (DriveConfig drive in resources.Devices<DriveConfig>())
        {
            BlockCacheType cacheType = drive.CacheType == CacheType.Writeback ? BlockCacheType.Writeback : BlockCacheType.Unsafe;
            yield return drive.Socket is not null
                ? new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = drive.DriveId, Socket = drive.Socket, CacheType = cacheType })
                : new BlockDevice(new BlockConfig
                {
                    DriveId = drive.DriveId,
                    Path = drive.PathOnHost!,
                    IsReadOnly = drive.IsReadOnly,
                    CacheType = cacheType,
                    RateLimiter = Limits(drive.RateLimiter),
                });
        }
    }

    private static IEnumerable<VirtioDevice> Filesystems(VmResources resources) =>
        resources.Devices<FilesystemConfig>().Select(static filesystem => new FsDevice(filesystem.Tag, filesystem.Socket));

    private static IEnumerable<VirtioDevice> Vsock(VmResources resources)
    {
        foreach (VsockConfig vsock in resources.Devices<VsockConfig>())
        {
            yield return new Sockets.VsockDevice(new Sockets.VsockConfig { GuestCid = vsock.GuestCid, UdsPath = vsock.UdsPath });
        }
    }

    private static IEnumerable<VirtioDevice> Entropy(VmResources resources)
    {
        foreach (EntropyConfig entropy in resources.Devices<EntropyConfig>())
        {
            yield return new RngDevice(Limits(entropy.RateLimiter));
        }
    }

    private static IEnumerable<VirtioDevice> NetworkInterfaces(VmResources resources)
    {
        foreach (NetworkInterfaceConfig nic in resources.Devices<NetworkInterfaceConfig>())
        {
            yield return new NetDevice(new NetConfig
            {
                IfaceId = nic.IfaceId,
                HostDeviceName = nic.HostDevName,
                GuestMac = nic.GuestMac,
                Mtu = nic.Mtu,
                RxRateLimiter = Limits(nic.RxRateLimiter),
                TxRateLimiter = Limits(nic.TxRateLimiter),
            })
            {
                Interceptor = resources.Mmds is { } mmds && mmds.NetworkInterfaces.Contains(nic.IfaceId)
                    ? new MmdsNeighbour(new MmdsNetworkStack(resources.Metadata, mmds.EffectiveAddress))
                    : null,
            };
        }
    }

    // The root drive is attached first, so that it is the kernel's /dev/vda.
    private static IEnumerable<string> RootArguments(VmResources resources)
    {
        foreach (DriveConfig drive in resources.Devices<DriveConfig>())
        {
            if (drive.IsRootDevice)
            {
                yield return drive.PartUuid is null ? "root=/dev/vda" : $"root=PARTUUID={drive.PartUuid}";
                yield return drive.IsReadOnly ? "ro" : "rw";
            }
        }
    }

    private static Limiting.RateLimiterConfig? Limits(RateLimiterConfig? config) =>
        config is null ? null : new Limiting.RateLimiterConfig(Bucket(config.Bandwidth), Bucket(config.Ops));

    private static Limiting.TokenBucketConfig? Bucket(TokenBucketConfig? config) =>
        config is null ? null : new Limiting.TokenBucketConfig(config.Size, config.OneTimeBurst ?? 0, config.RefillTime);

    /// <param name="Create">Makes the configured devices.</param>
    /// <param name="Arguments">What the kernel must be told about them.</param>
    /// <param name="Total">An empty group of the kind's metrics.</param>
    /// <param name="Syscalls">What it needs of the kernel while its guest runs.</param>
    /// <param name="HasIds">Whether there may be several, told apart by what the user calls them.</param>
    private sealed record DeviceKind(Factory Create, Arguments Arguments, MetricGroup Total, DeviceSyscalls Syscalls, bool HasIds = false);
}
