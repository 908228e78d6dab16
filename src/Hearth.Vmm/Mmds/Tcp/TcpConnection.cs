using System.Buffers;
using Hearth.Vmm.Mmds.Http;

namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>
/// The server's end of one connection: requests in, one response at a time out. Objects are reused: <see cref="Open"/>
/// begins a new life. Runs on the device loop.
/// <para>What it leaves out of TCP: window scaling, selective acknowledgements, timestamps, congestion control and
/// reordering; the link is a ring in memory. Lost segments are sent again from the first lost one on.</para>
/// <para>The numbers it sends are the SYN, then the responses one after another, then the FIN; <c>_responseSeq</c> is
/// where the current response begins, and with none the next.</para>
/// <para>Source: RFC 9293, section numbers in the code; RFC 5961 for blind attacks.</para>
/// </summary>
internal sealed partial class TcpConnection
{
    /// <summary>What fits of a request head; also the window. Source: Firecracker <c>RCV_BUF_MAX_SIZE</c>.</summary>
    public const int ReceiveBufferBytes = 2500;

    /// <summary>Time without a segment from the peer after which a new connection may take this one's place.</summary>
    public const long EvictionMs = 10_000;

    /// <summary>What this end takes and sends at most in a segment: Ethernet's 1500 less two headers.</summary>
    public const ushort MaxMss = 1460;

    private const ushort MinMss = 64;
    private const int DuplicateAcksOfALoss = 3;

    private readonly byte[] _receiveBuffer = new byte[ReceiveBufferBytes];
    private ArrayBufferWriter<byte> _response = new();

    private int _received;
    private int _scanned;
    private uint _receiveNext;
    private bool _ackPending;
    private bool _peerClosed;

    /// <summary>What became of the connection.</summary>
    public enum Outcome
    {
        /// <summary>It goes on.</summary>
        Open,

        /// <summary>The peer has ended it.</summary>
        Closed,

        /// <summary>Both sides have closed; the peer is owed one last <see cref="AckHeader"/>.</summary>
        Finished,

        /// <summary>It must be ended with <see cref="ResetHeader"/>.</summary>
        Reset,
    }

    public bool IsInUse { get; private set; }

    public TcpPeer Peer { get; set; }

    public long LastReceivedMs { get; private set; }

    /// <summary>When <see cref="OnTimer"/> is due; <see cref="long.MaxValue"/> for never.</summary>
    public long TimerMs => IsInUse ? _timerMs : long.MaxValue;

    /// <summary>An RST that ends the connection for the peer.</summary>
    public TcpHeader ResetHeader => new(AcceptableSeq, _receiveNext, TcpFlags.Rst | TcpFlags.Ack, 0);

    /// <summary>A bare acknowledgement of all that came.</summary>
    public TcpHeader AckHeader => new(AcceptableSeq, _receiveNext, TcpFlags.Ack, Window);

    private ushort Window => (ushort)(ReceiveBufferBytes - _received);

    /// <summary>Begins with a peer's SYN; the answer is the first segment to be written.</summary>
    public void Open(TcpPeer peer, in TcpSegment syn, uint initialSeq, long nowMs)
    {
        IsInUse = true;
        Peer = peer;
        LastReceivedMs = nowMs;
        _received = 0;
        _scanned = 0;
        _receiveNext = unchecked(syn.Seq + 1);
        _ackPending = false;
        _peerClosed = false;
        _initialSeq = initialSeq;
        _responseSeq = unchecked(initialSeq + 1);
        _unacknowledged = initialSeq;
        _sendNext = initialSeq;
        _sendMax = initialSeq;
        _sendWindow = syn.Window;
        _windowSeq = syn.Seq;
        _windowAck = initialSeq;
        _mss = Math.Clamp(syn.ReadMss(), MinMss, MaxMss);
        _established = false;
        _closing = false;
        _probing = false;
        _timerMs = long.MaxValue;
        _rtoMs = InitialRtoMs;
        _retries = 0;
        _duplicateAcks = 0;
        _recoverySeq = initialSeq;
        _response.ResetWrittenCount();
    }

    /// <summary>Gives the slot back.</summary>
    public void Release()
    {
        IsInUse = false;
        DropResponse();
    }

    /// <summary>Takes in one segment of this connection. Source: RFC 9293 §3.10.7.4.</summary>
    public Outcome Receive(in TcpSegment segment, long nowMs, MmdsResponder responder)
    {
        LastReceivedMs = nowMs;
        int ahead = SequenceNumber.Distance(segment.Seq, _receiveNext);
        if (segment.Has(TcpFlags.Rst))
        {
            // RFC 5961 §3.2: only the exact number ends the connection; a guess in the window is questioned.
            _ackPending |= ahead != 0 && IsInWindow(ahead);
            return ahead == 0 ? Outcome.Closed : Outcome.Open;
        }

        if (segment.Has(TcpFlags.Syn))
        {
            if (_established)
            {
                // RFC 5961 §4.2: a peer that has forgotten the connection answers the question with an RST.
                _ackPending = true;
            }
            else if (ahead == -1)
            {
                // The peer did not get the answer to its SYN.
                _sendNext = _initialSeq;
            }
            else
            {
                Open(Peer, in segment, _initialSeq, nowMs);
            }

            return Outcome.Open;
        }

        if (!segment.Has(TcpFlags.Ack))
        {
            return Outcome.Open;
        }

        if (ahead > 0 && !IsInWindow(ahead))
        {
            _ackPending = true;
            return Outcome.Open;
        }

        if (!_established)
        {
            if (segment.Ack != unchecked(_initialSeq + 1) || _sendMax == _initialSeq)
            {
                return Outcome.Reset;
            }

            _established = true;
        }

        if (SequenceNumber.Distance(segment.Ack, _sendMax) > 0)
        {
            // It acknowledges what was never sent.
            _ackPending = true;
            return Outcome.Open;
        }

        TakeAck(in segment);
        TakePayload(in segment, ahead);
        if (!Serve(responder, nowMs))
        {
            return Outcome.Reset;
        }

        ArmTimer(nowMs);
        return IsFinAcknowledged && _peerClosed ? Outcome.Finished : Outcome.Open;
    }

    private bool IsInWindow(int ahead) => ahead >= 0 && ahead < Math.Max((int)Window, 1);

    private void TakeAck(in TcpSegment segment)
    {
        int progress = SequenceNumber.Distance(segment.Ack, _unacknowledged);
        if (progress > 0)
        {
            _unacknowledged = segment.Ack;
            if (SequenceNumber.Distance(_sendNext, _unacknowledged) < 0)
            {
                _sendNext = _unacknowledged;
            }

            _retries = 0;
            _rtoMs = InitialRtoMs;
            _duplicateAcks = 0;
            _probing = false;
        }
        else if (progress == 0 && HasOutstanding && segment.Length == 0 && segment.Window == _sendWindow)
        {
            // RFC 5681 §3.2. A loss is repaired once: the duplicates that the repair provokes begin no other.
            if (++_duplicateAcks == DuplicateAcksOfALoss && SequenceNumber.Distance(_unacknowledged, _recoverySeq) >= 0)
            {
                _recoverySeq = _sendMax;
                _sendNext = _unacknowledged;
            }

            if (_sendWindow == 0)
            {
                // The peer lives and has no room: that is no reason to give up (RFC 9293 §3.8.6.1).
                _retries = 0;
            }
        }

        TakeWindow(in segment);
        if (_response.WrittenCount > 0 && SequenceNumber.Distance(_unacknowledged, ResponseEnd) >= 0)
        {
            _responseSeq = ResponseEnd;
            DropResponse();
        }

        if (progress > 0)
        {
            _timerMs = long.MaxValue;
        }
    }

    // RFC 9293 §3.10.7.4, SND.WL1 and SND.WL2: an old segment does not bring back an old window.
    private void TakeWindow(in TcpSegment segment)
    {
        int newer = SequenceNumber.Distance(segment.Seq, _windowSeq);
        if (newer < 0 || (newer == 0 && SequenceNumber.Distance(segment.Ack, _windowAck) < 0))
        {
            return;
        }

        if (_sendWindow == 0 && segment.Window > 0)
        {
            // A probe was sent into a closed window: the peer has thrown it away.
            _sendNext = _unacknowledged;
            _probing = false;
        }

        _sendWindow = segment.Window;
        _windowSeq = segment.Seq;
        _windowAck = segment.Ack;
    }

    private void TakePayload(in TcpSegment segment, int ahead)
    {
        if (segment.Length == 0)
        {
            // A keep-alive asks with a number that was used before.
            _ackPending |= ahead != 0;
            return;
        }

        _ackPending = true;
        if (ahead > 0 || _peerClosed)
        {
            return;
        }

        if (ahead < -segment.Payload.Length)
        {
            return;
        }

        ReadOnlySpan<byte> fresh = segment.Payload[-ahead..];
        int taken = fresh.Length;
        if (!_closing)
        {
            taken = Math.Min(taken, ReceiveBufferBytes - _received);
            fresh[..taken].CopyTo(_receiveBuffer.AsSpan(_received));
            _received += taken;
        }

        _receiveNext = unchecked(_receiveNext + (uint)taken);
        if (taken == fresh.Length && segment.Has(TcpFlags.Fin))
        {
            _receiveNext = unchecked(_receiveNext + 1);
            _peerClosed = true;
        }
    }

    // One response at a time: the next request waits in the buffer until the guest has all of the last response.
    private bool Serve(MmdsResponder responder, long nowMs)
    {
        if (_closing || _response.WrittenCount > 0)
        {
            return true;
        }

        int length = MmdsRequest.FindEnd(_receiveBuffer.AsSpan(0, _received), ref _scanned);
        if (length > 0)
        {
            bool keepAlive = responder.Respond(_receiveBuffer.AsSpan(0, length), nowMs, _response);
            _received -= length;
            _scanned = 0;
            _receiveBuffer.AsSpan(length, _received).CopyTo(_receiveBuffer);
            if (!keepAlive)
            {
                _closing = true;
                _received = 0;
            }

            // The window has grown.
            _ackPending = true;
            return true;
        }

        _closing = _peerClosed;
        return _received < ReceiveBufferBytes;
    }
}
