using System.Net;
using System.Net.Sockets;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Mmds;

/// <summary>How a guest must ask. Source: Firecracker swagger MmdsConfig.version.</summary>
public enum MmdsVersion
{
    /// <summary>Answers without a token. Deprecated.</summary>
    V1,

    /// <summary>Answers only those who present a session token.</summary>
    V2,
}

/// <summary>Who may ask for metadata, where and how. Source: Firecracker swagger MmdsConfig.</summary>
public sealed record MmdsConfig
{
    private static readonly IPAddress s_defaultAddress = new([169, 254, 169, 254]);

    public MmdsVersion Version { get; init; }

    /// <summary>Ids of the network interfaces whose guest side reaches the service; at least one.</summary>
    public required IReadOnlyList<string> NetworkInterfaces { get; init; }

    /// <summary>The service's address, 169.254.1.0 to 169.254.254.255; null for 169.254.169.254.</summary>
    public IPAddress? Ipv4Address { get; init; }

    /// <summary>Answers as EC2's service does, in plain text, whatever <c>Accept</c> says.</summary>
    public bool ImdsCompat { get; init; }

    /// <summary><see cref="Ipv4Address"/> or the default.</summary>
    public IPAddress EffectiveAddress => Ipv4Address ?? s_defaultAddress;

    /// <exception cref="ConfigurationException">The address or the list cannot be used. Source: Firecracker <c>MmdsConfigError</c>.</exception>
    public void Validate(Func<string, bool> interfaceExists)
    {
        if (!IsLinkLocal(EffectiveAddress))
        {
            throw new ConfigurationException("MMMDS config error: The MMDS IPv4 address is not link local.");
        }

        if (NetworkInterfaces.Count == 0)
        {
            throw new ConfigurationException(
                "MMMDS config error: The list of network interface IDs that allow forwarding MMDS requests is empty.");
        }

        if (!NetworkInterfaces.All(interfaceExists))
        {
            throw new ConfigurationException(
                "MMMDS config error: The list of network interface IDs provided contains at least one ID that does not correspond to any existing network interface.");
        }
    }

    // RFC 3927 §2.1 keeps the first and the last 256 addresses back.
    private static bool IsLinkLocal(IPAddress address)
    {
        Span<byte> octets = stackalloc byte[16];
        return address.AddressFamily == AddressFamily.InterNetwork
            && address.TryWriteBytes(octets, out _)
            && octets[0] == 169 && octets[1] == 254 && octets[2] is not (0 or 255);
    }
}
