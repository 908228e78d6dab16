using System.Runtime.InteropServices;

namespace Hearth.Virtio.Vsock;

/// <summary>What a packet is for. Source: virtio 1.2 §5.10.6, <c>VIRTIO_VSOCK_OP_*</c>.</summary>
internal enum VsockOperation : ushort
{
    Request = 1,
    Response = 2,
    Reset = 3,
    Shutdown = 4,
    ReadWrite = 5,
    CreditUpdate = 6,
    CreditRequest = 7,
}

/// <summary>The head of each packet; little-endian. Source: virtio 1.2 §5.10.6, <c>struct virtio_vsock_hdr</c>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly record struct VsockHeader
{
    /// <summary>Its size on the wire.</summary>
    public const int Bytes = 44;

    /// <summary>The host's context id. Source: virtio 1.2 §5.10.4.</summary>
    public const ulong HostCid = 2;

    /// <summary>The only type there is without SEQPACKET. Source: virtio 1.2 §5.10.6.</summary>
    public const ushort TypeStream = 1;

    /// <summary>Flag of <see cref="VsockOperation.Shutdown"/>: its sender will receive no more.</summary>
    public const uint ShutdownReceive = 1;

    /// <summary>Flag of <see cref="VsockOperation.Shutdown"/>: its sender will send no more.</summary>
    public const uint ShutdownSend = 2;

    public ulong SourceCid { get; init; }

    public ulong DestinationCid { get; init; }

    public uint SourcePort { get; init; }

    public uint DestinationPort { get; init; }

    /// <summary>How many bytes of payload follow.</summary>
    public uint Length { get; init; }

    public ushort Type { get; init; }

    public VsockOperation Operation { get; init; }

    public uint Flags { get; init; }

    /// <summary>How many bytes the sender's receive buffer has.</summary>
    public uint BufferAllocation { get; init; }

    /// <summary>How many bytes have left that buffer so far, modulo 2³².</summary>
    public uint ForwardedCount { get; init; }
}
