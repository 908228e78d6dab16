namespace Hearth.Vmm.Configuration;

/// <summary>A device's configuration as <see cref="VmResources"/> keeps it.</summary>
public interface IDeviceConfig
{
    /// <summary>Unique among the configurations of the same type; a constant for a device of which there is one.</summary>
    string Id { get; }

    /// <summary>Whether another process serves the device, and must be able to map the guest's memory.</summary>
    bool NeedsSharedMemory => false;
}
