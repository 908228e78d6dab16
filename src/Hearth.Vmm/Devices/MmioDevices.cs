using Hearth.Kvm;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Platform.Memory;
using Hearth.Virtio;
using Hearth.Virtio.Transport;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Devices;

/// <summary>
/// The virtio-mmio devices of one machine: gives each a page of registers, an interrupt and doorbells, in the order
/// they are attached, which is the order the guest finds them in.
/// <para>Thread: the control thread. Disposed after the vCPUs and the event loop have ended.</para>
/// </summary>
public sealed class MmioDevices : IDisposable
{
    private readonly List<Attachment> _attachments = [];
    private readonly KvmVm _vm;
    private readonly GuestMemory _memory;
    private readonly AddressBus _mmio;
    private readonly EventLoop _loop;

    public MmioDevices(KvmVm vm, GuestMemory memory, AddressBus mmio, EventLoop loop)
    {
        _vm = vm;
        _memory = memory;
        _mmio = mmio;
        _loop = loop;
    }

    /// <summary>In the order they were attached.</summary>
    public IEnumerable<VirtioDevice> All => _attachments.Select(a => a.Device);

    /// <summary>Where each device is, for the ACPI tables and the kernel command line.</summary>
    public IEnumerable<VirtioMmioSlot> Slots => _attachments.Select(a => a.Slot);

    /// <summary>Connects <paramref name="device"/>, which is owned from now on.</summary>
    /// <exception cref="HearthException">All interrupt lines are taken.</exception>
    public void Attach(VirtioDevice device)
    {
        uint gsi = MemoryLayout.FirstVirtioGsi + (uint)_attachments.Count;
        if (gsi > MemoryLayout.LastVirtioGsi)
        {
            const uint Most = MemoryLayout.LastVirtioGsi - MemoryLayout.FirstVirtioGsi + 1;
            throw new HearthException($"Device {device.Id} is one too many: a microVM has interrupt lines for {Most} virtio devices.");
        }

        ulong address = MemoryLayout.VirtioMmioStart + ((ulong)_attachments.Count * MmioTransport.RegionSize);
        var line = new IrqFdLine(_vm, gsi);
        var transport = new MmioTransport(device, _memory, line, _loop);
        for (int queue = 0; queue < transport.QueueNotifiers.Count; queue++)
        {
            _vm.RegisterIoEventFd(transport.QueueNotifiers[queue], address + MmioTransport.QueueNotifyOffset, (uint)queue);
        }

        _mmio.Insert(address, MmioTransport.RegionSize, transport);
        _attachments.Add(new Attachment(new VirtioMmioSlot(address, MmioTransport.RegionSize, gsi), device, transport, line));
    }

    /// <summary>The device of one kind that the user calls <paramref name="id"/>; null if there is none.</summary>
    public T? Find<T>(string id)
        where T : VirtioDevice
    {
        foreach (Attachment attachment in _attachments)
        {
            if (attachment.Device is T device && device.Id == id)
            {
                return device;
            }
        }

        return null;
    }

    public void Dispose()
    {
        foreach (Attachment attachment in _attachments)
        {
            attachment.Transport.Dispose();
            attachment.Device.Dispose();
            attachment.Line.Dispose();
        }

        _attachments.Clear();
    }

    private sealed record Attachment(VirtioMmioSlot Slot, VirtioDevice Device, MmioTransport Transport, IrqFdLine Line);
}
