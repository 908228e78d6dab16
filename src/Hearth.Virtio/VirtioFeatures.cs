namespace Hearth.Virtio;

/// <summary>The feature bits that belong to no device in particular. Source: virtio 1.2 §6.</summary>
public static class VirtioFeatures
{
    /// <summary>VIRTIO_F_INDIRECT_DESC: a descriptor may stand for a table of descriptors elsewhere in memory.</summary>
    public const ulong RingIndirectDesc = 1UL << 28;

    /// <summary>VIRTIO_F_EVENT_IDX: each side tells the other at which index it wants to be woken.</summary>
    public const ulong RingEventIdx = 1UL << 29;

    /// <summary>VIRTIO_F_VERSION_1: the device and driver speak virtio 1.x. Hearth's devices accept no driver without it.</summary>
    public const ulong Version1 = 1UL << 32;

    /// <summary>What every Hearth device offers.</summary>
    public const ulong Common = RingIndirectDesc | RingEventIdx | Version1;
}
