using Hearth.Platform.Bus;

namespace Hearth.Vmm.Acpi;

/// <summary>
/// The sleep control and status registers of a hardware-reduced machine: a guest's power-off arrives here.
/// <para>Shape: two ports of one byte, from <see cref="ControlPort"/>.</para>
/// <para>Thread: vCPU threads; holds nothing.</para>
/// Source: ACPI 6.5 §4.8.3.7.
/// </summary>
public sealed class SleepRegisters : IBusDevice
{
    public const ushort ControlPort = 0x600;
    public const ushort StatusPort = 0x601;
    public const ulong PortCount = 2;

    /// <summary>What the DSDT's <c>_S5</c> tells the guest to write.</summary>
    internal const byte PowerOffSleepType = 5;

    private const byte SleepEnable = 1 << 5;
    private const int SleepTypeShift = 2;
    private const int SleepTypeMask = 0b111;

    private readonly Action _powerOff;

    /// <param name="powerOff">Ends the machine; called on the vCPU thread that asked.</param>
    public SleepRegisters(Action powerOff) => _powerOff = powerOff;

    public void Read(ulong offset, Span<byte> data) => data.Clear();

    public void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset == 0 && data.Length > 0 && (data[0] & SleepEnable) != 0 && ((data[0] >> SleepTypeShift) & SleepTypeMask) == PowerOffSleepType)
        {
            _powerOff();
        }
    }
}
