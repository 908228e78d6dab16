using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>A netlink request while it is written: header, fixed part, attributes. Source: netlink(7), rtnetlink(7).</summary>
internal sealed class NetlinkMessage
{
    private byte[] _bytes = new byte[256];

    /// <param name="type"><c>RTM_*</c>.</param>
    /// <param name="flags"><c>NLM_F_*</c>: NLM_F_REQUEST is added, and NLM_F_ACK where nothing else answers.</param>
    public NetlinkMessage(ushort type, ushort flags)
    {
        ushort answer = (flags & LinuxRtnetlink.NLM_F_DUMP) == LinuxRtnetlink.NLM_F_DUMP ? (ushort)0 : LinuxRtnetlink.NLM_F_ACK;
        Append(new nlmsghdr { nlmsg_type = type, nlmsg_flags = (ushort)(flags | LinuxRtnetlink.NLM_F_REQUEST | answer), nlmsg_seq = 1 });
    }

    public int Length { get; private set; }

    /// <summary>The message with its length filled in.</summary>
    public ReadOnlySpan<byte> Finish()
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes, (uint)Length);
        return _bytes.AsSpan(0, Length);
    }

    public NetlinkMessage Append<T>(T part)
        where T : unmanaged
    {
        MemoryMarshal.Write(Room(Unsafe.SizeOf<T>()), part);
        return this;
    }

    public NetlinkMessage Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> attribute = Room(4 + value.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(attribute, (ushort)(4 + value.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(attribute[2..], type);
        value.CopyTo(attribute[4..]);
        return this;
    }

    public NetlinkMessage Attribute<T>(ushort type, T value)
        where T : unmanaged =>
        Attribute(type, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    public NetlinkMessage Attribute(ushort type, string value) => Attribute(type, Encoding.UTF8.GetBytes(value + "\0"));

    /// <summary>An attribute made of attributes: what <paramref name="content"/> adds is within it.</summary>
    public NetlinkMessage Nested(ushort type, Action<NetlinkMessage> content)
    {
        int at = (Length + 3) & ~3;
        BinaryPrimitives.WriteUInt16LittleEndian(Room(4)[2..], type);
        content(this);
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(at), (ushort)(Length - at));
        return this;
    }

    // Each part begins at a multiple of four; what lies between is zero.
    private Span<byte> Room(int size)
    {
        int at = (Length + 3) & ~3;
        if (at + size > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, at + size));
        }

        Length = at + size;
        return _bytes.AsSpan(at, size);
    }
}
