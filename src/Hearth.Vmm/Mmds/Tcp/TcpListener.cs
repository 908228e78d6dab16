using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Vmm.Mmds.Http;

namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>
/// One listening port and its connections, of which there are only so many. Runs on the device loop of its network
/// interface.
/// </summary>
internal sealed class TcpListener
{
    /// <summary>Source: Firecracker <c>DEFAULT_MAX_CONNECTIONS</c>.</summary>
    public const int MaxConnections = 30;

    /// <summary>Source: Firecracker <c>DEFAULT_MAX_PENDING_RESETS</c>; those past it are not sent.</summary>
    private const int MaxReplies = 100;

    private readonly MmdsResponder _responder;
    private readonly MmdsMetrics _metrics;
    private readonly ushort _port;

    // Slots are made as they are needed and then used again.
    private readonly TcpConnection?[] _connections = new TcpConnection?[MaxConnections];
    private readonly Queue<(TcpPeer Peer, TcpHeader Header)> _replies = new(MaxReplies);

    private int _nextToSend;

    public TcpListener(ushort port, MmdsResponder responder, MmdsMetrics metrics)
    {
        _port = port;
        _responder = responder;
        _metrics = metrics;
    }

    /// <summary>When something is due that no segment brings about; <see cref="long.MaxValue"/> for never.</summary>
    public long NextDeadlineMs
    {
        get
        {
            long deadline = long.MaxValue;
            foreach (TcpConnection? connection in _connections)
            {
                deadline = Math.Min(deadline, connection?.TimerMs ?? long.MaxValue);
            }

            return deadline;
        }
    }

    /// <summary>Takes in a segment whose checksum is right.</summary>
    public void Receive(ulong sourceMac, uint sourceAddress, in TcpSegment segment, long nowMs)
    {
        var peer = new TcpPeer(sourceMac, sourceAddress, segment.SourcePort, segment.DestinationPort);
        TcpConnection? connection = segment.DestinationPort == _port ? Find(peer) : null;
        if (connection is not null)
        {
            connection.Peer = peer;
            End(connection, connection.Receive(in segment, nowMs, _responder));
        }
        else if (segment.DestinationPort == _port
            && (segment.Flags & (TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Rst | TcpFlags.Fin)) == TcpFlags.Syn
            && TryTakeSlot(nowMs, out connection))
        {
            Span<byte> random = stackalloc byte[sizeof(uint)];
            RandomBytes.Fill(random);
            connection.Open(peer, in segment, BinaryPrimitives.ReadUInt32LittleEndian(random), nowMs);
            _metrics.ConnectionsCreated.Increment();
        }
        else if (!segment.Has(TcpFlags.Rst))
        {
            // RFC 9293 §3.5.2, group 1.
            Reply(
                peer,
                segment.Has(TcpFlags.Ack)
                    ? new TcpHeader(segment.Ack, 0, TcpFlags.Rst, 0)
                    : new TcpHeader(0, unchecked(segment.Seq + segment.Length), TcpFlags.Rst | TcpFlags.Ack, 0));
        }
    }

    /// <summary>The next segment to send, if there is one. The payload is valid until the next call of any member.</summary>
    public bool TryNextSegment(int room, long nowMs, out TcpPeer peer, out TcpHeader header, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        if (_replies.TryDequeue(out (TcpPeer Peer, TcpHeader Header) reply))
        {
            (peer, header) = reply;
            return true;
        }

        // In turns, so that a long answer on one connection does not hold up the others.
        for (int i = 0; i < MaxConnections; i++)
        {
            TcpConnection? connection = _connections[_nextToSend];
            _nextToSend = (_nextToSend + 1) % MaxConnections;
            if (connection is null || !connection.IsInUse)
            {
                continue;
            }

            if (connection.TimerMs <= nowMs)
            {
                End(connection, connection.OnTimer(nowMs));
            }

            if (connection.IsInUse && connection.TryNextSegment(room, nowMs, out header, out payload))
            {
                peer = connection.Peer;
                return true;
            }
        }

        // A timer may have ended a connection just now.
        bool any = _replies.TryDequeue(out reply);
        (peer, header) = reply;
        return any;
    }

    private TcpConnection? Find(TcpPeer peer)
    {
        foreach (TcpConnection? connection in _connections)
        {
            if (connection is { IsInUse: true } && connection.Peer.Address == peer.Address && connection.Peer.Port == peer.Port)
            {
                return connection;
            }
        }

        return null;
    }

    // A free slot, else the one that has been silent longest, if that is long enough.
    private bool TryTakeSlot(long nowMs, out TcpConnection connection)
    {
        TcpConnection? silent = null;
        for (int i = 0; i < MaxConnections; i++)
        {
            connection = _connections[i] ??= new TcpConnection();
            if (!connection.IsInUse)
            {
                return true;
            }

            if (silent is null || connection.LastReceivedMs < silent.LastReceivedMs)
            {
                silent = connection;
            }
        }

        connection = silent!; // there is at least one slot
        if (nowMs - connection.LastReceivedMs < TcpConnection.EvictionMs)
        {
            return false;
        }

        End(connection, TcpConnection.Outcome.Reset);
        return true;
    }

    private void End(TcpConnection connection, TcpConnection.Outcome outcome)
    {
        switch (outcome)
        {
            case TcpConnection.Outcome.Open:
                return;
            case TcpConnection.Outcome.Closed:
                break;
            case TcpConnection.Outcome.Finished:
                Reply(connection.Peer, connection.AckHeader);
                break;
            case TcpConnection.Outcome.Reset:
                Reply(connection.Peer, connection.ResetHeader);
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }

        connection.Release();
        _metrics.ConnectionsDestroyed.Increment();
    }

    private void Reply(TcpPeer peer, TcpHeader header)
    {
        if (_replies.Count < MaxReplies)
        {
            _replies.Enqueue((peer, header));
        }
    }
}
