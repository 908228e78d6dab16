using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Vsock;

/// <summary>To the guest: resets, then one packet of each stream that has any, round and round.</summary>
public sealed partial class VsockDevice
{
    private const uint MaxPayloadBytes = 64 * 1024;

    // Streams that are not there (any more), to be told so.
    private readonly Queue<(uint Host, uint Guest)> _resets = new(MaxResets);

    private void Receive()
    {
        DeviceActivation active = _active!;
        Virtqueue queue = active.Queues[RxQueue];
        int left = PacketsPerTurn;
        do
        {
            queue.DisableNotifications();
            bool hasMore = SendAvailable(queue, ref left);
            Publish(RxQueue);
            if (!hasMore)
            {
                break;
            }

            if (--left <= 0)
            {
                active.Notifiers[RxQueue].Signal();
                break;
            }
        }
        while (!queue.TryEnableNotifications());

        if (_transmitWaits && _resets.Count < MaxResets)
        {
            _transmitWaits = false;
            active.Notifiers[TxQueue].Signal();
        }
    }

    /// <summary>Sends up to <paramref name="left"/> packets; false once there is nothing to send, true where buffers ran out first.</summary>
    private bool SendAvailable(Virtqueue queue, ref int left)
    {
        while (_resets.Count > 0 || !_round.IsEmpty)
        {
            if (left <= 0 || !queue.TryPop(out DescriptorChain chain))
            {
                return true;
            }

            if (chain.WritableBytes <= VsockHeader.Bytes)
            {
                left--;
                Metrics.RxQueueEventFails.Increment();
                queue.AddUsed(chain.Head, 0);
                continue;
            }

            uint written = Compose(chain);
            if (written == 0)
            {
                queue.UndoPop();
                continue;
            }

            left--;
            Metrics.RxPacketsCount.Increment();
            queue.AddUsed(chain.Head, written);
            if (left % PacketsPerInterrupt == 0)
            {
                Publish(RxQueue);
            }
        }

        return false;
    }

    /// <summary>Puts the next packet into <paramref name="chain"/>; 0 if whose turn it was had none.</summary>
    private uint Compose(in DescriptorChain chain)
    {
        if (_resets.TryDequeue(out (uint Host, uint Guest) ports))
        {
            return Write(chain, new VsockHeader
            {
                SourceCid = VsockHeader.HostCid,
                DestinationCid = _config.GuestCid,
                SourcePort = ports.Host,
                DestinationPort = ports.Guest,
                Type = VsockHeader.TypeStream,
                Operation = VsockOperation.Reset,
            });
        }

        VsockStream stream = _round.Take()!;
        uint written = Compose(stream, chain);
        if (stream.State != VsockStreamState.Ended && stream.HasWork)
        {
            _round.Add(stream);
        }

        return written;
    }

    private uint Compose(VsockStream stream, in DescriptorChain chain)
    {
        const VsockNotice Shutdowns = VsockNotice.ShutdownReceive | VsockNotice.ShutdownSend;
        if ((stream.Notices & VsockNotice.Request) != 0)
        {
            stream.Notices &= ~VsockNotice.Request;
            return Write(chain, stream.Header(_config.GuestCid, VsockOperation.Request));
        }

        if ((stream.Notices & VsockNotice.Response) != 0)
        {
            stream.Notices &= ~VsockNotice.Response;
            return Write(chain, stream.Header(_config.GuestCid, VsockOperation.Response));
        }

        // What was sent before the end comes before the word of it.
        if (ComposeData(stream, chain) is var written and > 0)
        {
            return written;
        }

        if (stream.State == VsockStreamState.Ended)
        {
            return 0;
        }

        if ((stream.Notices & Shutdowns) != 0)
        {
            uint flags = ((stream.Notices & VsockNotice.ShutdownReceive) != 0 ? VsockHeader.ShutdownReceive : 0)
                | ((stream.Notices & VsockNotice.ShutdownSend) != 0 ? VsockHeader.ShutdownSend : 0);
            stream.Notices &= ~Shutdowns;
            if (stream.HostFinished && stream.HostDeaf)
            {
                stream.State = VsockStreamState.Closing;
                SetDeadline(stream);
            }

            return Write(chain, stream.Header(_config.GuestCid, VsockOperation.Shutdown, flags));
        }

        return (stream.Notices & VsockNotice.Credit) != 0 ? Write(chain, stream.Header(_config.GuestCid, VsockOperation.CreditUpdate)) : 0;
    }

    private uint ComposeData(VsockStream stream, in DescriptorChain chain)
    {
        if (!stream.CanSendData)
        {
            return 0;
        }

        uint most = Math.Min(Math.Min(chain.WritableBytes - VsockHeader.Bytes, stream.GuestRoom), MaxPayloadBytes);
        int count = chain.FillWritable(_pieces, VsockHeader.Bytes, most);
        int got = stream.Socket.Receive(_pieces.AsSpan(0, count));
        switch (got)
        {
            case UnixStream.WouldBlock:
                stream.IsReadable = false;
                return 0;
            case UnixStream.Closed:
                FinishHost(stream);
                return 0;
            default:
                stream.CountSent((uint)got);
                Metrics.RxBytesCount.Add(got);
                return Write(chain, stream.Header(_config.GuestCid, VsockOperation.ReadWrite, length: (uint)got)) + (uint)got;
        }
    }

    /// <summary>The host's end of file: half of the stream is over, or all of it.</summary>
    private void FinishHost(VsockStream stream)
    {
        stream.HostFinished = true;
        stream.Notices |= stream.HostDeaf ? VsockNotice.ShutdownSend | VsockNotice.ShutdownReceive : VsockNotice.ShutdownSend;
        Settle(stream);
    }

    private static uint Write(in DescriptorChain chain, VsockHeader header)
    {
        chain.TryWrite(0, MemoryMarshal.AsBytes(new ReadOnlySpan<VsockHeader>(in header)));
        return VsockHeader.Bytes;
    }
}
