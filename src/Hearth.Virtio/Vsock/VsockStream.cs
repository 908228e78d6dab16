using Hearth.Linux;

namespace Hearth.Virtio.Vsock;

/// <summary>How far a stream has come.</summary>
internal enum VsockStreamState
{
    /// <summary>A host connected and has not said to which port.</summary>
    Greeting,

    /// <summary>The guest was asked and has not answered.</summary>
    Requested,

    Connected,

    /// <summary>The host has gone and the guest was told; it will answer with a reset.</summary>
    Closing,

    /// <summary>Forgotten; late events find nothing.</summary>
    Ended,
}

/// <summary>What a stream has to tell the guest.</summary>
[Flags]
internal enum VsockNotice
{
    None = 0,
    Credit = 1,
    Request = 2,
    Response = 4,
    ShutdownReceive = 8,
    ShutdownSend = 16,
}

/// <summary>
/// One stream between a socket of the host and one of the guest: its credit both ways, and what waits.
/// <para>Credit (virtio 1.2 §5.10.6.3): each end says how large its buffer is and how much has left it; the other may
/// have no more on the way than fits. What the guest says of its own buffer can only make us send it less, or more than
/// it has room for, which is then its loss.</para>
/// <para>Thread: under the device's Gate.</para>
/// </summary>
internal sealed class VsockStream : IEventHandler
{
    /// <summary>The most a guest may have on the way to a host that does not read; told to the guest.</summary>
    public const uint BufferBytes = 128 * 1024;

    private readonly VsockDevice _device;
    private uint _received;
    private uint _forwarded;
    private uint _toldForwarded;
    private uint _sent;
    private uint _guestAllocation;
    private uint _guestForwarded;

    public VsockStream(VsockDevice device, UnixStream socket, VsockStreamState state, Stack<byte[]> spareRings)
    {
        _device = device;
        Socket = socket;
        State = state;
        Pending = new PendingBytes(spareRings);
    }

    public UnixStream Socket { get; }

    public EventRegistration Registration { get; set; }

    public VsockStreamState State { get; set; }

    /// <summary>The host's port and the guest's: together the stream's name.</summary>
    public (uint Host, uint Guest) Ports { get; set; }

    public VsockNotice Notices { get; set; }

    /// <summary>Whether it is in a <see cref="VsockRound"/>, whose links the next two are.</summary>
    public bool IsQueued { get; set; }

    public VsockStream? Previous { get; set; }

    public VsockStream? Next { get; set; }

    /// <summary>False from the socket's "nothing there" to its next event.</summary>
    public bool IsReadable { get; set; } = true;

    /// <summary>False from the socket's "no room" to its next event.</summary>
    public bool IsWritable { get; set; } = true;

    /// <summary>The host will send no more.</summary>
    public bool HostFinished { get; set; }

    /// <summary>The host will receive no more: what the guest sends is thrown away.</summary>
    public bool HostDeaf { get; set; }

    /// <summary>The guest will send no more.</summary>
    public bool GuestFinished { get; set; }

    /// <summary>The guest will receive no more.</summary>
    public bool GuestDeaf { get; set; }

    /// <summary>When the guest must have answered, by <see cref="Environment.TickCount64"/>.</summary>
    public long DeadlineMs { get; set; } = long.MaxValue;

    /// <summary>What the host has not taken yet.</summary>
    public PendingBytes Pending { get; }

    /// <summary>How many bytes the guest has room for.</summary>
    public uint GuestRoom
    {
        get
        {
            uint onTheWay = unchecked(_sent - _guestForwarded);
            return onTheWay < _guestAllocation ? _guestAllocation - onTheWay : 0;
        }
    }

    /// <summary>How many bytes the guest may send; it has been told so.</summary>
    public uint HostRoom => BufferBytes - unchecked(_received - _forwarded);

    /// <summary>Whether the host may have bytes that the guest has room for.</summary>
    public bool CanSendData =>
        State == VsockStreamState.Connected && IsReadable && !HostFinished && !GuestDeaf && GuestRoom > 0;

    /// <summary>Whether there is anything to send to the guest.</summary>
    public bool HasWork => Notices != VsockNotice.None || CanSendData;

    public void OnReady(EpollEvents events) => _device.OnStreamReady(this, events);

    /// <summary>Takes what each packet of the guest says of its buffer.</summary>
    public void UpdateCredit(in VsockHeader header)
    {
        _guestAllocation = header.BufferAllocation;
        _guestForwarded = header.ForwardedCount;
    }

    public void CountSent(uint bytes) => _sent = unchecked(_sent + bytes);

    public void CountReceived(uint bytes) => _received = unchecked(_received + bytes);

    /// <summary>The host took <paramref name="bytes"/>; once they are many, the guest shall hear of it.</summary>
    public void CountForwarded(uint bytes)
    {
        _forwarded = unchecked(_forwarded + bytes);
        if (unchecked(_forwarded - _toldForwarded) >= BufferBytes / 2)
        {
            Notices |= VsockNotice.Credit;
        }
    }

    /// <summary>A packet to the guest, with the credit it always carries.</summary>
    public VsockHeader Header(uint guestCid, VsockOperation operation, uint flags = 0, uint length = 0)
    {
        _toldForwarded = _forwarded;
        Notices &= ~VsockNotice.Credit;
        return new VsockHeader
        {
            SourceCid = VsockHeader.HostCid,
            DestinationCid = guestCid,
            SourcePort = Ports.Host,
            DestinationPort = Ports.Guest,
            Type = VsockHeader.TypeStream,
            Operation = operation,
            Flags = flags,
            Length = length,
            BufferAllocation = BufferBytes,
            ForwardedCount = _forwarded,
        };
    }
}
