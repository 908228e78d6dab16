using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.VhostUser;

/// <summary>
/// The front end's side of one vhost-user session: a message at a time, each waited for where it has an answer.
/// <para>The back end is another process and may be anything: an answer has the size we expect or is none, nothing is
/// allocated by its word, descriptors that it sends are never taken, and no wait outlives <see cref="SetDeadline"/>.</para>
/// <para>Errors: <see cref="VhostUserException"/>; the session is of no use after one. Thread: one at a time.</para>
/// <para>Source: the vhost-user protocol (QEMU docs/interop/vhost-user.rst), version 1.</para>
/// </summary>
internal sealed class VhostUserConnection : IDisposable
{
    /// <summary>VHOST_USER_F_PROTOCOL_FEATURES, a bit among the device's features that no driver sees.</summary>
    public const ulong ProtocolFeaturesBit = 1UL << 30;

    /// <summary>The largest part of a configuration space that can be asked for, in bytes.</summary>
    public const int MaxConfigBytes = 256;

    private const int MaxMemoryRegions = 8;
    private const int MaxPayloadBytes = ConfigRange.Bytes + MaxConfigBytes;
    private const VhostUserProtocolFeatures Wanted =
        VhostUserProtocolFeatures.MultiQueue | VhostUserProtocolFeatures.ReplyAck | VhostUserProtocolFeatures.Config;

    private readonly UnixStream _stream;
    private readonly string _socket;
    private VhostUserProtocolFeatures _protocol;
    private long _deadline;
    private TimeSpan _patience;

    /// <param name="stream">Connected; owned from now on.</param>
    /// <param name="socket">Its path, for errors.</param>
    public VhostUserConnection(UnixStream stream, string socket)
    {
        _stream = stream;
        _socket = socket;
    }

    /// <summary>The socket, for an event loop that waits for its end.</summary>
    public FileDescriptor Descriptor => _stream;

    /// <summary>Whether the back end has gone, as far as is known without waiting.</summary>
    public bool HasHungUp => Polling.HasHungUp(_stream);

    /// <summary>All that follows, until the next call, must be done within <paramref name="patience"/>.</summary>
    public void SetDeadline(TimeSpan patience)
    {
        _patience = patience;
        _deadline = Environment.TickCount64 + (long)patience.TotalMilliseconds;
    }

    /// <summary>The beginning of a session: who we are, and what both can.</summary>
    /// <param name="queues">How many queues are needed.</param>
    /// <returns>The device features the back end has.</returns>
    public ulong Negotiate(int queues)
    {
        Command(VhostUserRequest.SetOwner, []);
        ulong features = Ask<ulong>(VhostUserRequest.GetFeatures);
        if ((features & ProtocolFeaturesBit) == 0)
        {
            throw Fault("knows no protocol features, and so is too old for this monitor");
        }

        VhostUserProtocolFeatures common = Ask<VhostUserProtocolFeatures>(VhostUserRequest.GetProtocolFeatures) & Wanted;
        Command(VhostUserRequest.SetProtocolFeatures, common);
        _protocol = common;
        ulong most = (common & VhostUserProtocolFeatures.MultiQueue) != 0 ? Ask<ulong>(VhostUserRequest.GetQueueNum) : 1;
        // Without MQ nobody says how many there are; a device of a fixed kind has what its kind needs.
        if ((common & VhostUserProtocolFeatures.MultiQueue) != 0 && most < (ulong)queues)
        {
            throw Fault($"serves {most} queues, and the device has {queues}");
        }

        return features & ~ProtocolFeaturesBit;
    }

    /// <summary>Fills <paramref name="destination"/> with the start of the device's configuration space.</summary>
    public void ReadConfig(Span<byte> destination)
    {
        if ((_protocol & VhostUserProtocolFeatures.Config) == 0)
        {
            throw Fault("cannot say what its device is like (it lacks the CONFIG protocol feature)");
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, MaxConfigBytes, nameof(destination));
        Span<byte> message = stackalloc byte[MaxPayloadBytes];
        message = message[..(ConfigRange.Bytes + destination.Length)];
        message.Clear();
        MemoryMarshal.Write(message, new ConfigRange(0, (uint)destination.Length, 0));
        Send(VhostUserRequest.GetConfig, message, [], needReply: false);
        Receive(VhostUserRequest.GetConfig, message);
        var range = MemoryMarshal.Read<ConfigRange>(message);
        if (range.Offset != 0 || range.LengthBytes != (uint)destination.Length)
        {
            throw Fault("answered with another part of the configuration space than was asked for");
        }

        message[ConfigRange.Bytes..].CopyTo(destination);
    }

    /// <summary>Tells the back end what its driver has negotiated, and lends it the guest's memory.</summary>
    /// <exception cref="HearthException">The memory is private to this process.</exception>
    public void Configure(ulong features, GuestMemory memory)
    {
        Command(VhostUserRequest.SetFeatures, features | ProtocolFeaturesBit);
        IReadOnlyList<GuestMemoryRegion> regions = memory.Regions;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(regions.Count, MaxMemoryRegions, nameof(memory));
        Span<byte> table = stackalloc byte[8 + (MaxMemoryRegions * 32)];
        table.Clear();
        MemoryMarshal.Write(table, regions.Count);
        var files = new FileDescriptor[regions.Count];
        for (int i = 0; i < files.Length; i++)
        {
            GuestMemoryRegion region = regions[i];
            files[i] = region.Fd ?? throw new HearthException(
                $"The guest's memory is private to the monitor, and the back end at \"{_socket}\" cannot reach it. This is a defect of the monitor.");
            // The guest's own addresses stand for ours, too: the back end need not know where things are in this process.
            MemoryMarshal.Write(
                table[(8 + (i * 32))..],
                new MemoryRegionEntry(region.Base.Value, region.LengthBytes, region.Base.Value, (ulong)region.FdOffset));
        }

        Command(VhostUserRequest.SetMemTable, table[..(8 + (files.Length * 32))], files);
    }

    /// <summary>Gives a queue to the back end, which serves it from now on.</summary>
    /// <param name="index">Which.</param>
    /// <param name="queue">Where it is, how far it has got; checked by whoever opened it.</param>
    /// <param name="kick">What the driver rings.</param>
    /// <param name="call">What the back end rings.</param>
    public void StartQueue(int index, VirtqueueState queue, EventFd kick, EventFd call)
    {
        uint number = (uint)index;
        Command(VhostUserRequest.SetVringNum, new VringState(number, queue.Size));
        Command(VhostUserRequest.SetVringAddr, new VringAddress(number, 0, queue.DescriptorTable, queue.UsedRing, queue.AvailRing, 0));
        Command(VhostUserRequest.SetVringBase, new VringState(number, queue.NextAvail));
        Command(VhostUserRequest.SetVringCall, (ulong)number, call);
        Command(VhostUserRequest.SetVringKick, (ulong)number, kick);
        Command(VhostUserRequest.SetVringEnable, new VringState(number, 1));
    }

    /// <summary>Takes a queue back: what the back end had begun is done, and it touches the queue no more.</summary>
    /// <returns>The free-running index of the next available entry.</returns>
    public ushort StopQueue(int index)
    {
        Span<byte> message = stackalloc byte[8];
        MemoryMarshal.Write(message, new VringState((uint)index, 0));
        Send(VhostUserRequest.GetVringBase, message, [], needReply: false);
        Receive(VhostUserRequest.GetVringBase, message);
        VringState state = MemoryMarshal.Read<VringState>(message);
        return state.Index == (uint)index && state.Number <= ushort.MaxValue
            ? (ushort)state.Number
            : throw Fault($"stopped queue {index} and says it was queue {state.Index} at {state.Number}");
    }

    public void Dispose() => _stream.Dispose();

    private T Ask<T>(VhostUserRequest request)
        where T : unmanaged
    {
        Send(request, [], [], needReply: false);
        Receive(request, out T reply);
        return reply;
    }

    private void Command<T>(VhostUserRequest request, in T payload, params ReadOnlySpan<FileDescriptor> descriptors)
        where T : unmanaged => Command(request, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in payload)), descriptors);

    /// <summary>Sends what has no answer of its own, and waits until it is done where the back end can say so.</summary>
    private void Command(VhostUserRequest request, ReadOnlySpan<byte> payload, params ReadOnlySpan<FileDescriptor> descriptors)
    {
        bool acknowledged = (_protocol & VhostUserProtocolFeatures.ReplyAck) != 0;
        Send(request, payload, descriptors, acknowledged);
        if (acknowledged)
        {
            Receive(request, out ulong status);
            if (status != 0)
            {
                throw Fault($"refused {request} with {status}");
            }
        }
    }

    private void Send(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<FileDescriptor> descriptors, bool needReply)
    {
        Span<byte> message = stackalloc byte[VhostUserHeader.Bytes + MaxPayloadBytes];
        uint flags = VhostUserHeader.Version | (needReply ? VhostUserHeader.NeedReply : 0);
        MemoryMarshal.Write(message, new VhostUserHeader(request, flags, (uint)payload.Length));
        payload.CopyTo(message[VhostUserHeader.Bytes..]);
        ReadOnlySpan<byte> rest = message[..(VhostUserHeader.Bytes + payload.Length)];
        while (!rest.IsEmpty)
        {
            int sent = _stream.Send(rest, descriptors);
            if (sent == UnixStream.Closed)
            {
                ThrowGone(request);
            }

            if (sent == UnixStream.WouldBlock)
            {
                Polling.WaitWritable(_stream, RemainingMs(request));
                continue;
            }

            rest = rest[sent..];
            descriptors = [];
        }
    }

    private void Receive<T>(VhostUserRequest request, out T payload)
        where T : unmanaged
    {
        payload = default;
        Receive(request, MemoryMarshal.AsBytes(new Span<T>(ref payload)));
    }

    /// <summary>Takes the answer to <paramref name="request"/>, which fills <paramref name="payload"/> or is none.</summary>
    private void Receive(VhostUserRequest request, Span<byte> payload)
    {
        Span<byte> bytes = stackalloc byte[VhostUserHeader.Bytes];
        ReceiveExactly(request, bytes);
        var header = MemoryMarshal.Read<VhostUserHeader>(bytes);
        if (header.Request != request
            || (header.Flags & (VhostUserHeader.VersionMask | VhostUserHeader.Reply)) != (VhostUserHeader.Version | VhostUserHeader.Reply)
            || header.PayloadBytes != (uint)payload.Length)
        {
            throw Fault(
                $"answered {request} ({payload.Length} bytes) with message {(uint)header.Request}, flags 0x{header.Flags:x}, {header.PayloadBytes} bytes");
        }

        ReceiveExactly(request, payload);
    }

    private void ReceiveExactly(VhostUserRequest request, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int received = _stream.Receive(destination);
            if (received == UnixStream.Closed)
            {
                ThrowGone(request);
            }

            if (received == UnixStream.WouldBlock)
            {
                Polling.WaitReadable(_stream, RemainingMs(request));
                continue;
            }

            destination = destination[received..];
        }
    }

    private int RemainingMs(VhostUserRequest request)
    {
        long left = _deadline - Environment.TickCount64;
        return left > 0 ? (int)left : throw Fault($"has not answered {request} within {_patience.TotalSeconds} s");
    }

    [DoesNotReturn]
    private void ThrowGone(VhostUserRequest request) => throw Fault($"closed the connection at {request}");

    private VhostUserException Fault(string what) =>
        new($"The vhost-user back end at \"{_socket}\" {what}. Is it alive, and made for this kind of device?");
}
