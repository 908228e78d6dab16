namespace Hearth.Virtio;

/// <summary>Device identifiers. Source: virtio 1.2 §5.</summary>
public enum VirtioDeviceType : uint
{
    Net = 1,
    Block = 2,
    Rng = 4,
    Balloon = 5,
    Vsock = 19,
    Mem = 24,
    Fs = 26,
    Pmem = 27,
}
