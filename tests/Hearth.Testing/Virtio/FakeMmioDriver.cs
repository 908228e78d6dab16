using System.Buffers.Binary;
using Hearth.Virtio;
using Hearth.Virtio.Queues;
using Hearth.Virtio.Transport;

namespace Hearth.Testing.Virtio;

/// <summary>Drives a device through its MMIO registers, step by step as virtio 1.2 §3.1.1 has it.</summary>
public sealed class FakeMmioDriver(MmioTransport transport)
{
    private const ulong AllOffered = ulong.MaxValue;

    public DeviceStatus Status => (DeviceStatus)Read(0x70);

    public uint InterruptStatus => Read(0x60);

    public uint Read(uint register)
    {
        Span<byte> word = stackalloc byte[4];
        transport.Read(register, word);
        return BinaryPrimitives.ReadUInt32LittleEndian(word);
    }

    public void Write(uint register, uint value)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, value);
        transport.Write(register, word);
    }

    public void AddStatus(DeviceStatus step) => Write(0x70, (uint)(Status | step));

    public void Reset() => Write(0x70, 0);

    public void AcknowledgeInterrupts() => Write(0x64, InterruptStatus);

    public ulong OfferedFeatures()
    {
        Write(0x14, 0);
        ulong features = Read(0x10);
        Write(0x14, 1);
        return features | ((ulong)Read(0x10) << 32);
    }

    /// <summary>Acknowledges <paramref name="features"/>, offered or not.</summary>
    /// <returns>Whether the device took them.</returns>
    public bool AcceptFeatures(ulong features)
    {
        AddStatus(DeviceStatus.Acknowledge);
        AddStatus(DeviceStatus.Driver);
        Write(0x24, 0);
        Write(0x20, (uint)features);
        Write(0x24, 1);
        Write(0x20, (uint)(features >> 32));
        AddStatus(DeviceStatus.FeaturesOk);
        return (Status & DeviceStatus.FeaturesOk) != 0;
    }

    public void SetUpQueue(int index, VirtqueueState layout)
    {
        Write(0x30, (uint)index);
        Write(0x38, layout.Size);
        Write(0x80, (uint)layout.DescriptorTable);
        Write(0x84, (uint)(layout.DescriptorTable >> 32));
        Write(0x90, (uint)layout.AvailRing);
        Write(0x94, (uint)(layout.AvailRing >> 32));
        Write(0xa0, (uint)layout.UsedRing);
        Write(0xa4, (uint)(layout.UsedRing >> 32));
        Write(0x44, layout.Ready ? 1u : 0u);
    }

    /// <summary>From reset to DRIVER_OK with the offered features among <paramref name="wanted"/>.</summary>
    /// <returns>The negotiated features.</returns>
    public ulong Start(IReadOnlyList<VirtqueueState> layouts, ulong wanted = AllOffered)
    {
        ulong features = OfferedFeatures() & (wanted | VirtioFeatures.Version1);
        Assert.True(AcceptFeatures(features), $"The device refused features 0x{features:x}, all of which it offers.");
        for (int i = 0; i < layouts.Count; i++)
        {
            SetUpQueue(i, layouts[i]);
        }

        AddStatus(DeviceStatus.DriverOk);
        return features;
    }

    /// <summary>Rings through the register, as where there is no ioeventfd.</summary>
    public void Ring(int queue) => Write(0x50, (uint)queue);
}
