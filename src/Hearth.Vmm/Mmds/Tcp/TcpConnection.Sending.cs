using System.Buffers;

namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>What goes out: the numbers, the retransmission timer, the next segment.</summary>
internal sealed partial class TcpConnection
{
    private const int InitialRtoMs = 300;
    private const int MaxRtoMs = 4800;
    private const int MaxRetries = 15;
    private const int KeptResponseBytes = 16 * 1024;

    private uint _initialSeq;
    private uint _responseSeq;
    private uint _unacknowledged;
    private uint _sendNext;
    private uint _sendMax;
    private uint _sendWindow;
    private uint _windowSeq;
    private uint _windowAck;
    private ushort _mss;
    private bool _established;
    private bool _closing;
    private bool _probing;

    private long _timerMs;
    private int _rtoMs;
    private int _retries;
    private int _duplicateAcks;
    private uint _recoverySeq;

    // The FIN's number, or the one after the last byte there is to send.
    private uint ResponseEnd => unchecked(_responseSeq + (uint)_response.WrittenCount);

    private uint StreamEnd => unchecked(ResponseEnd + (_closing ? 1u : 0));

    // The number for a segment that carries nothing: after all that was sent, but not past what the peer lets in.
    private uint AcceptableSeq =>
        SequenceNumber.Distance(_sendMax, unchecked(_unacknowledged + _sendWindow)) > 0 && _established
            ? unchecked(_unacknowledged + _sendWindow)
            : _sendMax;

    private bool HasOutstanding => _unacknowledged != _sendMax;

    private bool IsFinAcknowledged => _closing && _unacknowledged == StreamEnd;

    /// <summary>Acts on <see cref="TimerMs"/> having passed.</summary>
    public Outcome OnTimer(long nowMs)
    {
        _timerMs = long.MaxValue;
        if (IsFinAcknowledged)
        {
            // The peer never closed its side.
            return Outcome.Reset;
        }

        if (++_retries > MaxRetries)
        {
            return Outcome.Reset;
        }

        _sendNext = _unacknowledged;
        _recoverySeq = _sendMax;
        _probing = _established && _sendWindow == 0;
        _rtoMs = Math.Min(_rtoMs * 2, MaxRtoMs);
        ArmTimer(nowMs);
        return Outcome.Open;
    }

    /// <summary>The next segment to send, if there is one.</summary>
    /// <param name="room">How many bytes of payload the caller can carry.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <param name="header">What it says.</param>
    /// <param name="payload">What it carries: valid until the next call of any member.</param>
    public bool TryNextSegment(int room, long nowMs, out TcpHeader header, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        header = default;
        if (!_established)
        {
            if (_sendNext != _initialSeq)
            {
                return false;
            }

            header = new TcpHeader(_initialSeq, _receiveNext, TcpFlags.Syn | TcpFlags.Ack, Window) { Mss = MaxMss };
            Advance(1, nowMs);
            return true;
        }

        (int count, bool fin) = NextToSend(room);
        if (count == 0 && !fin)
        {
            header = AckHeader;
            bool acknowledges = _ackPending;
            _ackPending = false;
            return acknowledges;
        }

        TcpFlags flags = TcpFlags.Ack | (fin ? TcpFlags.Fin : TcpFlags.None);
        if (count > 0)
        {
            payload = _response.WrittenSpan.Slice(SequenceNumber.Distance(_sendNext, _responseSeq), count);
            flags |= unchecked(_sendNext + (uint)count) == ResponseEnd ? TcpFlags.Psh : TcpFlags.None;
        }

        header = new TcpHeader(_sendNext, _receiveNext, flags, Window);
        _ackPending = false;
        Advance((uint)count + (fin ? 1u : 0), nowMs);
        return true;
    }

    // How many bytes go out now, and whether the FIN goes with them. Source: RFC 9293 §3.8.6.2.1.
    private (int Count, bool Fin) NextToSend(int room)
    {
        int remaining = SequenceNumber.Distance(StreamEnd, _sendNext);
        if (remaining <= 0)
        {
            return (0, false);
        }

        long window = SequenceNumber.Distance(unchecked(_unacknowledged + _sendWindow), _sendNext);
        if (_probing)
        {
            window = Math.Max(window, 1);
        }

        int bytes = Math.Max(SequenceNumber.Distance(ResponseEnd, _sendNext), 0);
        int most = Math.Min(_mss, room);
        int count = (int)Math.Clamp(Math.Min(bytes, window), 0, most);
        if (count < bytes && count < most && _sendNext != _unacknowledged)
        {
            // No small segments while the window will open further.
            count = 0;
        }

        return (count, _closing && count == bytes && window > count);
    }

    private void Advance(uint count, long nowMs)
    {
        _sendNext = unchecked(_sendNext + count);
        if (SequenceNumber.Distance(_sendNext, _sendMax) > 0)
        {
            _sendMax = _sendNext;
        }

        // One probe a time-out.
        _probing = false;
        ArmTimer(nowMs);
    }

    // Runs while something is owed: an acknowledgement, room in a closed window, or the peer's FIN.
    private void ArmTimer(long nowMs)
    {
        if (_timerMs != long.MaxValue)
        {
            return;
        }

        if (IsFinAcknowledged)
        {
            _timerMs = nowMs + EvictionMs;
        }
        else if (HasOutstanding || (_sendWindow == 0 && _sendNext != StreamEnd))
        {
            _timerMs = nowMs + _rtoMs;
        }
    }

    private void DropResponse()
    {
        if (_response.Capacity > KeptResponseBytes)
        {
            _response = new ArrayBufferWriter<byte>();
        }
        else
        {
            _response.ResetWrittenCount();
        }
    }
}
