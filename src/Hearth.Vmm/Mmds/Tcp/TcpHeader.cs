namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>
/// Whom a segment goes to: a guest's address and port, and the MAC address it was last seen with; and the port here that
/// it comes from.
/// </summary>
internal readonly record struct TcpPeer(ulong Mac, uint Address, ushort Port, ushort LocalPort);

/// <summary>What a segment to be sent says besides its payload.</summary>
internal readonly record struct TcpHeader(uint Seq, uint Ack, TcpFlags Flags, ushort Window)
{
    /// <summary>The MSS option, for a SYN; 0 for none.</summary>
    public ushort Mss { get; init; }
}
