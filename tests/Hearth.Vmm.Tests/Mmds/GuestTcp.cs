using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Tests.Mmds;

/// <summary>
/// A model of a guest's TCP: sends one stream, takes one in, both in order, sends again what is not acknowledged, and
/// closes when it has sent and received all. It throws when the service breaks the protocol.
/// </summary>
internal sealed class GuestTcp
{
    private const int RetransmitMs = 200;

    private readonly byte[] _stream;
    private readonly int _expectedBytes;
    private readonly uint _initialSeq;
    private readonly ushort _port;
    private readonly Random _random;
    private readonly Queue<byte[]> _out = [];
    private readonly List<byte> _received = [];
    private readonly ushort _mss;
    private readonly int _buffer;

    private uint _peerSeq;
    private uint _unacknowledged;
    private uint _next;
    private int _peerWindow;
    private int _unread;
    private bool _established;
    private bool _finSent;
    private long _lastSentMs = long.MinValue / 2;

    public GuestTcp(byte[] stream, int expectedBytes, uint initialSeq, ushort port, Random random)
    {
        _stream = stream;
        _expectedBytes = expectedBytes;
        _initialSeq = initialSeq;
        _port = port;
        _random = random;
        _unacknowledged = initialSeq;
        _next = initialSeq;
        _mss = (ushort)random.Next(40, 1461);
        _buffer = random.Next(3) switch { 0 => random.Next(1, 100), 1 => random.Next(100, 4000), _ => 65535 };
    }

    public byte[] Received => [.. _received];

    public bool PeerClosed { get; private set; }

    /// <summary>All sent and acknowledged, all received, both directions closed.</summary>
    public bool IsDone => PeerClosed && _finSent && _unacknowledged == _next;

    /// <summary>Frames to carry to the service.</summary>
    public Queue<byte[]> Out => _out;

    // What the _stream has of numbers: SYN, bytes, FIN.
    private uint FirstByte => unchecked(_initialSeq + 1);

    public void Tick(long nowMs)
    {
        // The application reads a bit, now and then; a window that opens is told.
        if (_unread > 0 && _random.Next(3) == 0)
        {
            bool wasClosed = _unread >= _buffer;
            _unread -= _random.Next(1, _unread + 1);
            if (wasClosed && _unread < _buffer)
            {
                Send(_next, TcpFlags.Ack, default);
            }
        }

        bool again = nowMs - _lastSentMs > RetransmitMs && _next != _unacknowledged;
        if (again)
        {
            _next = _unacknowledged;
        }

        if (!_established)
        {
            if (_next == _initialSeq && nowMs - _lastSentMs > RetransmitMs)
            {
                _out.Enqueue(GuestFrames.Segment(new TcpHeader(_initialSeq, 0, TcpFlags.Syn, Window) { Mss = _mss }, port: _port));
                _lastSentMs = nowMs;
            }

            return;
        }

        SendStream(nowMs);
    }

    public void Receive(ReadOnlySpan<byte> frame)
    {
        TcpSegment segment = GuestFrames.Open(frame);
        Assert.Equal(_port, segment.DestinationPort);
        if (segment.Has(TcpFlags.Rst))
        {
            // The last acknowledgement got lost, and the service keeps no TIME-WAIT to repeat it: nothing is at stake then.
            Assert.True(PeerClosed && _finSent, "the service has reset the connection");
            _unacknowledged = _next;
            return;
        }

        Assert.True(segment.Has(TcpFlags.Ack));
        Assert.InRange(segment.Payload.Length, 0, Math.Max((int)_mss, 64));
        if (segment.Has(TcpFlags.Syn))
        {
            Assert.Equal(TcpConnection.MaxMss, segment.ReadMss());
            if (!_established)
            {
                _established = true;
                _peerSeq = unchecked(segment.Seq + 1);
                _unacknowledged = FirstByte;
                _next = FirstByte;
                _peerWindow = segment.Window;
            }

            Send(_next, TcpFlags.Ack, default);
            return;
        }

        if (!_established)
        {
            return;
        }

        Assert.True(SequenceNumber.Distance(segment.Ack, unchecked(FirstByte + (uint)_stream.Length + 1)) <= 0, "acknowledges what was not sent");
        if (SequenceNumber.Distance(segment.Ack, _unacknowledged) >= 0)
        {
            _unacknowledged = segment.Ack;
            _peerWindow = segment.Window;
            if (SequenceNumber.Distance(_next, _unacknowledged) < 0)
            {
                _next = _unacknowledged;
            }
        }

        int ahead = SequenceNumber.Distance(segment.Seq, _peerSeq);
        if (ahead == 0 && !PeerClosed)
        {
            int taken = Math.Min(segment.Payload.Length, Math.Max(_buffer - _unread, 0));
            _received.AddRange(segment.Payload[..taken]);
            _unread += taken;
            _peerSeq = unchecked(_peerSeq + (uint)taken);
            if (taken == segment.Payload.Length && segment.Has(TcpFlags.Fin))
            {
                _peerSeq = unchecked(_peerSeq + 1);
                PeerClosed = true;
            }
        }

        if (segment.Length > 0)
        {
            Send(_next, TcpFlags.Ack, default);
        }
    }

    private ushort Window => (ushort)Math.Clamp(_buffer - _unread, 0, 65535);

    private void SendStream(long nowMs)
    {
        while (true)
        {
            int at = SequenceNumber.Distance(_next, FirstByte);
            int room = SequenceNumber.Distance(unchecked(_unacknowledged + (uint)_peerWindow), _next);
            int count = Math.Min(Math.Min(_stream.Length - at, room), _random.Next(1, 1461));
            if (count <= 0)
            {
                break;
            }

            Send(_next, TcpFlags.Ack | TcpFlags.Psh, _stream.AsSpan(at, count));
            _next = unchecked(_next + (uint)count);
            _lastSentMs = nowMs;
        }

        if (_received.Count >= _expectedBytes && SequenceNumber.Distance(_next, FirstByte) == _stream.Length)
        {
            Send(_next, TcpFlags.Ack | TcpFlags.Fin, default);
            _next = unchecked(_next + 1);
            _finSent = true;
            _lastSentMs = nowMs;
        }
    }

    private void Send(uint seq, TcpFlags flags, ReadOnlySpan<byte> payload) =>
        _out.Enqueue(GuestFrames.Segment(new TcpHeader(seq, _peerSeq, flags, Window), payload, _port));
}
