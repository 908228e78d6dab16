namespace Hearth.Virtio.Transport;

/// <summary>What a device tells whoever drives its status. Under the device's Gate.</summary>
internal interface IDeviceOwner
{
    void OnConfigChanged();

    void OnNeedsReset();
}
