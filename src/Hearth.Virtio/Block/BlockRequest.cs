using System.Runtime.InteropServices;

namespace Hearth.Virtio.Block;

/// <summary>struct virtio_blk_req up to its data, 16 bytes. Source: virtio 1.2 §5.2.6.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct BlockRequestHeader(BlockRequestType Type, uint Reserved, ulong Sector)
{
    public const uint Bytes = 16;
}

internal enum BlockRequestType : uint
{
    In = 0,
    Out = 1,
    Flush = 4,
    GetId = 8,
}

internal enum BlockStatus : byte
{
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}
