using System.Buffers.Binary;
using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio;

namespace Hearth.Testing.Fuzzing;

/// <summary>
/// A hostile guest on a virtio device, through the MMIO transport that a real one would use. The input is a list of
/// steps, a byte each with what it needs behind it; it begins with a device that works.
/// <list type="table">
/// <item>0: register (byte), value (u32): a write of a transport register. 1: register: a read</item>
/// <item>2: where behind the rings' start (u16), length (byte), bytes: anything into rings and buffers</item>
/// <item>3: queue, index (bytes), address (see <see cref="Address"/>), length (u32), flags, next (u16): a descriptor</item>
/// <item>4: queue, head (bytes): a head made available</item>
/// <item>5: queue: a kick</item>
/// <item>6: queue, readable length, bytes, writable length (u16): a well-formed chain, and a kick</item>
/// <item>7: a driver's start from reset. 8: offset (u16), width (byte), value (u32): the configuration space</item>
/// <item>9: queue, avail.idx (u16). 10: length, bytes: what the host side does, if the device has one</item>
/// </list>
/// </summary>
public sealed class DeviceFuzzTarget : IDisposable
{
    private const ulong MemoryBytes = 8 << 20;
    private const uint HeapBytes = 256 << 10;

    private readonly DeviceBench _bench;
    private readonly Action<ReadOnlyMemory<byte>>? _host;

    /// <param name="device">Owned from now on.</param>
    /// <param name="host">Takes the bytes of step 10.</param>
    public DeviceFuzzTarget(VirtioDevice device, Action<ReadOnlyMemory<byte>>? host = null)
    {
        _bench = new DeviceBench(device, MemoryBytes);
        _host = host;
    }

    public void Run(ReadOnlySpan<byte> bytes)
    {
        var input = new FuzzInput(bytes);
        _bench.Start(heapBytes: HeapBytes);
        while (!input.IsEmpty)
        {
            Step(ref input);
        }

        _bench.Pump();
        // Whatever was done to it, a reset makes a device that works.
        Restart();
        _bench.Pump();
    }

    public void Dispose() => _bench.Dispose();

    private void Step(ref FuzzInput input)
    {
        Span<byte> word = stackalloc byte[4];
        switch (input.Byte() % 11)
        {
            case 0:
                uint register = input.Byte() * 4u;
                BinaryPrimitives.WriteUInt32LittleEndian(word, input.UInt32());
                _bench.Transport.Write(register, word);
                break;
            case 1:
                _bench.Transport.Read(input.Byte() * 4u, word);
                break;
            case 2:
                ulong at = DeviceBench.FirstRing + input.UInt16();
                _bench.Memory.TryWrite(new GuestAddress(at), input.Take(input.Byte()));
                break;
            case 3:
                FakeDriver queue = Queue(ref input);
                ushort index = (ushort)(input.Byte() % queue.Size);
                queue.SetDescriptor(index, Address(ref input), input.UInt32(), input.UInt16(), input.UInt16());
                break;
            case 4:
                Queue(ref input).PushHead(input.Byte());
                break;
            case 5:
                _bench.Kick(input.Byte() % _bench.Queues.Count);
                break;
            case 6:
                AddChain(ref input);
                break;
            case 7:
                Restart();
                break;
            case 8:
                Configure(ref input);
                break;
            case 9:
                Queue(ref input).AvailIdx = input.UInt16();
                break;
            default:
                _host?.Invoke(input.Take(input.Byte()).ToArray());
                _bench.Pump();
                break;
        }
    }

    private void Restart()
    {
        _bench.Driver.Reset();
        _bench.Start(heapBytes: HeapBytes);
    }

    private FakeDriver Queue(ref FuzzInput input) => _bench.Queues[input.Byte() % _bench.Queues.Count];

    // Near the rings, near the end of memory, or anywhere.
    private static ulong Address(ref FuzzInput input) => (input.Byte() % 3) switch
    {
        0 => DeviceBench.FirstRing + input.UInt32() % MemoryBytes,
        1 => MemoryBytes - input.UInt16(),
        _ => input.UInt64(),
    };

    private void AddChain(ref FuzzInput input)
    {
        int number = input.Byte() % _bench.Queues.Count;
        FakeDriver queue = _bench.Queues[number];
        ReadOnlySpan<byte> content = input.Take(input.Byte());
        uint writable = Math.Min(input.UInt16(), (uint)8192);
        List<FakeBuffer> chain = [];
        if (content.Length > 0)
        {
            chain.Add(queue.Readable(content));
        }

        if (writable > 0)
        {
            chain.Add(queue.Writable(writable));
        }

        if (chain.Count > 0 && queue.FreeDescriptors >= chain.Count)
        {
            queue.Add([.. chain]);
            _bench.Kick(number);
        }
    }

    private void Configure(ref FuzzInput input)
    {
        const ulong ConfigSpace = 0x100;
        ulong offset = ConfigSpace + input.UInt16();
        byte width = input.Byte();
        Span<byte> value = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(value, input.UInt32());
        value = value[..(width & 7)];
        if ((width & 8) != 0)
        {
            _bench.Transport.Write(offset, value);
        }
        else
        {
            _bench.Transport.Read(offset, value);
        }
    }
}
