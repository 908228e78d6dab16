using System.Runtime.InteropServices;

namespace Hearth.Virtio.VhostUser;

/// <summary>What a front end asks. Source: vhost-user protocol, "Front-end message types".</summary>
internal enum VhostUserRequest : uint
{
    GetFeatures = 1,
    SetFeatures = 2,
    SetOwner = 3,
    SetMemTable = 5,
    SetVringNum = 8,
    SetVringAddr = 9,
    SetVringBase = 10,
    GetVringBase = 11,
    SetVringKick = 12,
    SetVringCall = 13,
    GetProtocolFeatures = 15,
    SetProtocolFeatures = 16,
    GetQueueNum = 17,
    SetVringEnable = 18,
    GetConfig = 24,
}

/// <summary>What both ends agree on besides the device's own features. Source: "Protocol features".</summary>
[Flags]
internal enum VhostUserProtocolFeatures : ulong
{
    None = 0,
    MultiQueue = 1 << 0,
    ReplyAck = 1 << 3,
    Config = 1 << 9,
}

/// <summary>The 12 bytes before each message's payload.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct VhostUserHeader(VhostUserRequest Request, uint Flags, uint PayloadBytes)
{
    public const int Bytes = 12;

    /// <summary>The protocol's version, in the lowest two bits of the flags.</summary>
    public const uint Version = 1;

    public const uint VersionMask = 3;

    public const uint Reply = 1 << 2;

    /// <summary>With REPLY_ACK: please answer this, though it has no answer of its own.</summary>
    public const uint NeedReply = 1 << 3;
}

/// <summary>A number about one queue: its size, an index into it, whether it is enabled.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct VringState(uint Index, uint Number);

/// <summary>Where a queue's rings are, in the addresses that <see cref="MemoryRegionEntry.UserAddress"/> announced.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct VringAddress(uint Index, uint Flags, ulong DescriptorTable, ulong UsedRing, ulong AvailRing, ulong Log);

/// <summary>One run of guest memory; its file goes along.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct MemoryRegionEntry(ulong GuestAddress, ulong LengthBytes, ulong UserAddress, ulong FileOffset);

/// <summary>Which part of the configuration space; the bytes follow.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ConfigRange(uint Offset, uint LengthBytes, uint Flags)
{
    public const int Bytes = 12;
}
