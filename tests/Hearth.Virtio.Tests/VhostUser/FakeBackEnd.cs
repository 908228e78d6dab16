using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

/// <summary>
/// A vhost-user back end on a real socket and a thread of its own, which maps the guest's memory by the descriptors it
/// is sent and serves the rings there: each request's readable bytes come back in its writable ones. What a good back
/// end never does goes through <see cref="Answer"/> and the switches.
/// </summary>
internal sealed unsafe class FakeBackEnd : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-vhost-").FullName;
    private readonly EventLoop _loop = new();
    private readonly Thread _thread;
    private UnixListener? _listener;
    private EventRegistration _listening;
    private Session? _session;

    public FakeBackEnd()
    {
        Listen();
        _thread = new Thread(_loop.Run) { IsBackground = true };
        _thread.Start();
    }

    public string Path => System.IO.Path.Combine(_folder, "socket");

    public ulong Features { get; set; } = VirtioFeatures.Common | (1UL << 5) | (1UL << 9) | VhostUserConnection.ProtocolFeaturesBit | (1UL << 26);

    public ulong ProtocolFeatures { get; set; } = 0xffff;

    public ulong Queues { get; set; } = 2;

    public byte[] Config { get; } = new byte[60];

    /// <summary>Takes requests out of the rings and never gives them back.</summary>
    public volatile bool Holds;

    /// <summary>What to answer instead of the answer given (header and payload); empty for nothing, null to hang up.</summary>
    public Func<VhostUserRequest, byte[], byte[]?> Answer { get; set; } = static (_, answer) => answer;

    /// <summary>All that was asked, over all sessions.</summary>
    public ConcurrentQueue<VhostUserRequest> Asked { get; } = new();

    /// <summary>How many requests were taken out of the rings.</summary>
    public int Taken;

    public int Sessions;

    /// <summary>A byte of guest memory as the back end sees it.</summary>
    public byte ReadByte(ulong guestAddress) => OnLoop(() => *_session!.Host(guestAddress));

    /// <summary>Whether it listens.</summary>
    public bool IsAlive { get; private set; }

    /// <summary>Dies as a killed process does.</summary>
    public void Die() => OnLoop(() =>
    {
        End();
        IsAlive = false;
        _loop.Remove(_listening);
        _listener!.Dispose();
        File.Delete(Path);
        return 0;
    });

    public void StartAgain() => OnLoop(() =>
    {
        Listen();
        return 0;
    });

    public void Dispose()
    {
        _loop.Stop();
        _thread.Join();
        _session?.Dispose();
        _listener!.Dispose();
        _loop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private T OnLoop<T>(Func<T> action)
    {
        T result = default!;
        using var done = new ManualResetEventSlim();
        _loop.Post(() =>
        {
            result = action();
            done.Set();
        });
        Assert.True(done.Wait(TimeSpan.FromSeconds(30)), "The back end's loop stands still.");
        return result;
    }

    private void Listen()
    {
        IsAlive = true;
        _listener = UnixListener.Bind(Path, 8);
        _listening = _loop.Add(_listener, EpollEvents.In, new Handler(() =>
        {
            if (_listener.TryAccept() is { } stream)
            {
                _session?.Dispose();
                _session = new Session(this, stream);
                Interlocked.Increment(ref Sessions);
            }
        }));
    }

    private void End()
    {
        _session?.Dispose();
        _session = null;
    }

    private sealed class Handler(Action action) : IEventHandler
    {
        public void OnReady(EpollEvents events) => action();
    }

    /// <summary>One connection, its memory and its rings.</summary>
    private sealed class Session : IDisposable
    {
        private const int MaxMessage = 512;

        private readonly FakeBackEnd _owner;
        private readonly UnixStream _stream;
        private readonly EventRegistration _registration;
        private readonly List<(MemoryRegionEntry Entry, MemoryMapping Mapping)> _memory = [];
        private readonly Ring[] _rings = [new(), new()];
        private ulong _protocol;

        public Session(FakeBackEnd owner, UnixStream stream)
        {
            _owner = owner;
            _stream = stream;
            _registration = owner._loop.Add(stream, EpollEvents.In, new Handler(OnReadable));
        }

        public byte* Host(ulong address)
        {
            foreach ((MemoryRegionEntry entry, MemoryMapping mapping) in _memory)
            {
                if (address >= entry.UserAddress && address - entry.UserAddress < entry.LengthBytes)
                {
                    return mapping.Address + (address - entry.UserAddress);
                }
            }

            throw new InvalidOperationException($"0x{address:x} is not in the memory table.");
        }

        public void Dispose()
        {
            _owner._loop.Remove(_registration);
            foreach (Ring ring in _rings)
            {
                ring.Stop(_owner._loop);
            }

            _stream.Dispose();
            _memory.ForEach(static region => region.Mapping.Dispose());
        }

        private void OnReadable()
        {
            Span<byte> message = stackalloc byte[MaxMessage];
            FileDescriptor[] files = [];
            int length = Receive(message[..VhostUserHeader.Bytes], ref files);
            var header = MemoryMarshal.Read<VhostUserHeader>(message);
            Span<byte> payload = length == VhostUserHeader.Bytes ? message[..(int)header.PayloadBytes] : [];
            if (length <= 0 || (payload.Length > 0 && Receive(payload, ref files) != payload.Length))
            {
                _owner.End();
                return;
            }

            _owner.Asked.Enqueue(header.Request);
            byte[] answer = Handle(header, payload, files);
            answer = _owner.Answer(header.Request, answer)!;
            if (answer is null)
            {
                _owner.End();
            }
            else if (answer.Length > 0)
            {
                _stream.Send(answer);
            }
        }

        private byte[] Handle(VhostUserHeader header, ReadOnlySpan<byte> payload, FileDescriptor[] files)
        {
            ulong number = payload.Length >= 8 ? BinaryPrimitives.ReadUInt64LittleEndian(payload) : 0;
            VringState state = payload.Length == 8 ? MemoryMarshal.Read<VringState>(payload) : default;
            switch (header.Request)
            {
                case VhostUserRequest.GetFeatures:
                    return Reply(header, _owner.Features);
                case VhostUserRequest.GetProtocolFeatures:
                    return Reply(header, _owner.ProtocolFeatures);
                case VhostUserRequest.GetQueueNum:
                    return Reply(header, _owner.Queues);
                case VhostUserRequest.GetConfig:
                    byte[] config = [.. payload];
                    _owner.Config.AsSpan(0, config.Length - ConfigRange.Bytes).CopyTo(config.AsSpan(ConfigRange.Bytes));
                    return Reply(header, config);
                case VhostUserRequest.GetVringBase:
                    return Reply(header, MemoryMarshal.AsBytes([state with { Number = _rings[state.Index].Stop(_owner._loop) }]));
                case VhostUserRequest.SetProtocolFeatures:
                    _protocol = number;
                    return [];
                case VhostUserRequest.SetMemTable:
                    MapMemory(payload, files);
                    break;
                case VhostUserRequest.SetVringNum:
                    _rings[state.Index].Size = state.Number;
                    break;
                case VhostUserRequest.SetVringAddr:
                    _rings[MemoryMarshal.Read<VringAddress>(payload).Index].Address = MemoryMarshal.Read<VringAddress>(payload);
                    break;
                case VhostUserRequest.SetVringBase:
                    _rings[state.Index].Next = (ushort)state.Number;
                    break;
                case VhostUserRequest.SetVringCall:
                    _rings[number].Call = Assert.Single(files);
                    break;
                case VhostUserRequest.SetVringKick:
                    _rings[number].Kick = Assert.Single(files);
                    break;
                case VhostUserRequest.SetVringEnable:
                    Ring ring = _rings[state.Index];
                    ring.Registration = _owner._loop.Add(ring.Kick!, EpollEvents.In, new Handler(() => Serve(ring)));
                    break;
            }

            return (_protocol & (ulong)VhostUserProtocolFeatures.ReplyAck) != 0 && (header.Flags & VhostUserHeader.NeedReply) != 0 ? Reply(header, 0UL) : [];
        }

        private void MapMemory(ReadOnlySpan<byte> payload, FileDescriptor[] files)
        {
            int count = MemoryMarshal.Read<int>(payload);
            Assert.Equal(count, files.Length);
            for (int i = 0; i < count; i++)
            {
                var entry = MemoryMarshal.Read<MemoryRegionEntry>(payload[(8 + (32 * i))..]);
                _memory.Add((entry, MemoryMapping.Shared(files[i], (long)entry.FileOffset, entry.LengthBytes)));
                files[i].Dispose();
            }
        }

        private void Serve(Ring ring)
        {
            Span<byte> count = stackalloc byte[8];
            Polling.Read(ring.Kick!, count);
            byte* avail = Host(ring.Address.AvailRing);
            while (ring.Next != Volatile.Read(ref *(ushort*)(avail + 2)))
            {
                ushort head = *(ushort*)(avail + 4 + (2 * (ring.Next++ % ring.Size)));
                Interlocked.Increment(ref _owner.Taken);
                if (!_owner.Holds)
                {
                    GiveBack(ring, head);
                }
            }
        }

        private void GiveBack(Ring ring, ushort head)
        {
            var readable = new List<byte>();
            uint written = 0;
            for (ushort index = head; ;)
            {
                byte* descriptor = Host(ring.Address.DescriptorTable) + (16 * index);
                byte* data = Host(*(ulong*)descriptor);
                uint length = *(uint*)(descriptor + 8);
                ushort flags = *(ushort*)(descriptor + 12);
                if ((flags & 2) == 0)
                {
                    readable.AddRange(new ReadOnlySpan<byte>(data, (int)length));
                }
                else
                {
                    byte[] part = [.. readable.Skip((int)written).Take((int)length)];
                    part.CopyTo(new Span<byte>(data, (int)length));
                    written += (uint)part.Length;
                }

                if ((flags & 1) == 0)
                {
                    break;
                }

                index = *(ushort*)(descriptor + 14);
            }

            byte* used = Host(ring.Address.UsedRing);
            ushort idx = *(ushort*)(used + 2);
            *(ulong*)(used + 4 + (8 * (idx % ring.Size))) = head | ((ulong)written << 32);
            Volatile.Write(ref *(ushort*)(used + 2), (ushort)(idx + 1));
            ulong one = 1;
            _ = Unistd.write(ring.Call!.Number, &one, 8);
        }

        private static byte[] Reply(VhostUserHeader asked, ulong value) => Reply(asked, MemoryMarshal.AsBytes([value]));

        private static byte[] Reply(VhostUserHeader asked, ReadOnlySpan<byte> payload)
        {
            var answer = new byte[VhostUserHeader.Bytes + payload.Length];
            MemoryMarshal.Write(answer, new VhostUserHeader(asked.Request, VhostUserHeader.Version | VhostUserHeader.Reply, (uint)payload.Length));
            payload.CopyTo(answer.AsSpan(VhostUserHeader.Bytes));
            return answer;
        }

        private int Receive(Span<byte> destination, ref FileDescriptor[] files)
        {
            byte* control = stackalloc byte[64];
            fixed (byte* start = destination)
            {
                var piece = new iovec { iov_base = start, iov_len = (nuint)destination.Length };
                var message = new msghdr { msg_iov = &piece, msg_iovlen = 1, msg_control = control, msg_controllen = 64 };
                int length = (int)SysSocket.recvmsg(_stream.Number, &message, 0);
                if (length > 0 && message.msg_controllen > (nuint)sizeof(cmsghdr))
                {
                    var numbers = new ReadOnlySpan<int>(control + sizeof(cmsghdr), (int)(((cmsghdr*)control)->cmsg_len - (nuint)sizeof(cmsghdr)) / sizeof(int));
                    files = [.. numbers.ToArray().Select(static fd => new FileDescriptor(fd))];
                }

                return length;
            }
        }
    }

    private sealed class Ring
    {
        public uint Size { get; set; }

        public VringAddress Address { get; set; }

        public ushort Next { get; set; }

        public FileDescriptor? Kick { get; set; }

        public FileDescriptor? Call { get; set; }

        public EventRegistration? Registration { get; set; }

        public uint Stop(EventLoop loop)
        {
            if (Registration is { } registration)
            {
                loop.Remove(registration);
                Registration = null;
            }

            Kick?.Dispose();
            Call?.Dispose();
            return Next;
        }
    }
}
