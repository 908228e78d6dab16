namespace Hearth.Virtio.Net;

/// <summary>The feature bits of a network device that Hearth may offer. Source: virtio 1.2 §5.1.3.</summary>
internal static class NetFeatures
{
    /// <summary>The device takes packets whose checksum is left to it.</summary>
    public const ulong Csum = 1UL << 0;

    /// <summary>The driver takes packets whose checksum is left to it.</summary>
    public const ulong GuestCsum = 1UL << 1;

    public const ulong Mtu = 1UL << 3;
    public const ulong Mac = 1UL << 5;

    /// <summary>The driver takes segments of up to 64 KiB.</summary>
    public const ulong GuestTso4 = 1UL << 7;

    public const ulong GuestTso6 = 1UL << 8;

    /// <summary>The device takes segments of up to 64 KiB.</summary>
    public const ulong HostTso4 = 1UL << 11;

    public const ulong HostTso6 = 1UL << 12;

    /// <summary>A received packet may span several chains.</summary>
    public const ulong MrgRxbuf = 1UL << 15;

    /// <summary>What every interface offers, whatever its configuration.</summary>
    public const ulong Always = Csum | GuestCsum | GuestTso4 | GuestTso6 | HostTso4 | HostTso6 | MrgRxbuf;
}
