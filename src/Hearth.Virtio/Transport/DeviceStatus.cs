namespace Hearth.Virtio.Transport;

/// <summary>The device status field. Source: virtio 1.2 §2.1.</summary>
[Flags]
public enum DeviceStatus : byte
{
    None = 0,
    Acknowledge = 1,
    Driver = 2,
    DriverOk = 4,
    FeaturesOk = 8,
    NeedsReset = 64,
    Failed = 128,
}
