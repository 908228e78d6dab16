using Hearth.Linux;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Vsock;

/// <summary>From the guest: its packets, one after the other; none waits for a stream that is slow.</summary>
public sealed partial class VsockDevice
{
    // With so many answers waiting for buffers, the guest's packets wait too: it cannot make us remember without end.
    private const int MaxResets = 256;

    private bool _transmitWaits;

    private void Transmit()
    {
        DeviceActivation active = _active!;
        Virtqueue queue = active.Queues[TxQueue];
        int left = PacketsPerTurn;
        do
        {
            queue.DisableNotifications();
            _transmitWaits = !TakeAvailable(queue, ref left);
            Publish(TxQueue);
            if (_transmitWaits)
            {
                break;
            }

            // Looking again counts too: a guest that adds only malformed chains must not hold the loop.
            if (--left <= 0)
            {
                active.Notifiers[TxQueue].Signal();
                break;
            }
        }
        while (!queue.TryEnableNotifications());

        Receive();
    }

    /// <summary>Takes what is available, up to <paramref name="left"/> packets; false where answers wait for buffers first.</summary>
    private bool TakeAvailable(Virtqueue queue, ref int left)
    {
        while (left > 0)
        {
            if (_resets.Count >= MaxResets)
            {
                return false;
            }

            if (!queue.TryPop(out DescriptorChain chain))
            {
                return true;
            }

            left--;
            Metrics.TxPacketsCount.Increment();
            Take(chain);
            queue.AddUsed(chain.Head, 0);
            if (left % PacketsPerInterrupt == 0)
            {
                Publish(TxQueue);
            }
        }

        return true;
    }

    private void Take(in DescriptorChain chain)
    {
        if (!chain.TryRead(0, out VsockHeader header)
            || header.SourceCid != _config.GuestCid || header.DestinationCid != VsockHeader.HostCid
            || header.Length > chain.ReadableBytes - VsockHeader.Bytes)
        {
            Metrics.TxQueueEventFails.Increment();
            return;
        }

        (uint Host, uint Guest) ports = (header.DestinationPort, header.SourcePort);
        if (!_streams.TryGetValue(ports, out VsockStream? stream))
        {
            if (header.Operation == VsockOperation.Request && header.Type == VsockHeader.TypeStream)
            {
                Dial(ports, header);
            }
            else if (header.Operation != VsockOperation.Reset)
            {
                _resets.Enqueue(ports);
            }

            return;
        }

        stream.UpdateCredit(header);
        if (header.Type != VsockHeader.TypeStream || !Obey(stream, header, chain))
        {
            Kill(stream);
        }
        else if (stream.State != VsockStreamState.Ended && stream.HasWork)
        {
            _round.Add(stream);
        }
    }

    /// <summary>Does what a packet says; false if it may not say so now.</summary>
    private bool Obey(VsockStream stream, in VsockHeader header, in DescriptorChain chain)
    {
        switch (header.Operation)
        {
            case VsockOperation.Response when stream.State == VsockStreamState.Requested:
                Welcome(stream);
                return true;
            case VsockOperation.Reset:
                End(stream);
                return true;
            case VsockOperation.Shutdown:
                stream.GuestDeaf |= (header.Flags & VsockHeader.ShutdownReceive) != 0;
                stream.GuestFinished |= (header.Flags & VsockHeader.ShutdownSend) != 0;
                Settle(stream);
                return true;
            case VsockOperation.ReadWrite when stream.State is VsockStreamState.Connected or VsockStreamState.Closing:
                return TakePayload(stream, header.Length, chain);
            case VsockOperation.CreditUpdate:
                return true;
            case VsockOperation.CreditRequest:
                stream.Notices |= VsockNotice.Credit;
                return true;
            default:
                return false;
        }
    }

    private bool TakePayload(VsockStream stream, uint length, in DescriptorChain chain)
    {
        if (stream.GuestFinished || length > stream.HostRoom)
        {
            return false;
        }

        Metrics.TxBytesCount.Add(length);
        stream.CountReceived(length);
        uint done = 0;
        if (stream is { HostDeaf: false, IsWritable: true, Pending.Count: 0 } && length > 0)
        {
            int count = chain.FillReadable(_pieces, VsockHeader.Bytes, length);
            int sent = stream.Socket.Send(_pieces.AsSpan(0, count));
            done = (uint)Math.Max(0, sent);
            // A socket that took less than it was given has no room; it says when it has.
            stream.IsWritable = done == length;
            if (sent == UnixStream.Closed)
            {
                Metrics.TxWriteFails.Increment();
                LoseHost(stream);
            }
        }

        if (stream.HostDeaf)
        {
            stream.CountForwarded(length);
            return true;
        }

        stream.CountForwarded(done);
        while (done < length)
        {
            Span<byte> room = stream.Pending.Room;
            room = room[..Math.Min(room.Length, (int)(length - done))];
            chain.TryRead(VsockHeader.Bytes + done, room);
            stream.Pending.Added(room.Length);
            done += (uint)room.Length;
        }

        return true;
    }

    /// <summary>The host reads no more: what it has not taken is lost, as it is with any socket.</summary>
    private void LoseHost(VsockStream stream)
    {
        stream.HostDeaf = true;
        stream.CountForwarded((uint)stream.Pending.Count);
        stream.Pending.Removed(stream.Pending.Count);
        stream.Notices |= VsockNotice.ShutdownReceive;
        stream.IsReadable = true;
    }

    /// <summary>Ends what both ends have ended, and passes on that the guest has.</summary>
    private void Settle(VsockStream stream)
    {
        if (stream.GuestDeaf)
        {
            stream.Socket.ShutdownReceive();
        }

        if (!stream.GuestFinished || stream.Pending.Count > 0)
        {
            return;
        }

        if (stream.GuestDeaf || stream.HostFinished)
        {
            _resets.Enqueue(stream.Ports);
            End(stream);
        }
        else
        {
            stream.Socket.ShutdownSend();
        }
    }
}
