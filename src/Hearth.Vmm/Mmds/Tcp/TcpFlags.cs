namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>Control bits. Source: RFC 9293 §3.1.</summary>
[Flags]
internal enum TcpFlags : byte
{
    None = 0,
    Fin = 1,
    Syn = 2,
    Rst = 4,
    Psh = 8,
    Ack = 16,
}
