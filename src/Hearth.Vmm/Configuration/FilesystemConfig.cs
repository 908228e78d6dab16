namespace Hearth.Vmm.Configuration;

/// <summary>A virtio-fs device. Deviates: Firecracker has none.</summary>
public sealed record FilesystemConfig : IDeviceConfig
{
    /// <summary>What the guest mounts: 1 to 36 bytes.</summary>
    public required string Tag { get; init; }

    /// <summary>Where the vhost-user back end (virtiofsd) listens.</summary>
    public required string Socket { get; init; }

    string IDeviceConfig.Id => Tag;

    bool IDeviceConfig.NeedsSharedMemory => true;
}
