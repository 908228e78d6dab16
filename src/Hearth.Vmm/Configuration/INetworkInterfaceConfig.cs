namespace Hearth.Vmm.Configuration;

/// <summary>A network interface's configuration, of whatever kind: what the metadata service can be reached through.</summary>
public interface INetworkInterfaceConfig : IDeviceConfig;
