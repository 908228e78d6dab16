using Hearth.Kvm;
using Hearth.Legacy;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Devices;

/// <summary>The devices at fixed ports: ttyS0 and the keyboard controller. Thread: the control thread.</summary>
public sealed class LegacyDevices : IDisposable
{
    private readonly IrqFdLine _serialLine;
    private readonly IrqFdLine _keyboardLine;
    private readonly SerialConsole _console;

    /// <param name="vm">Takes the two interrupts.</param>
    /// <param name="ports">Takes the two port ranges.</param>
    /// <param name="loop">Runs the console.</param>
    /// <param name="serialOutPath">Where ttyS0's output goes; null for stdout.</param>
    /// <param name="reset">The guest pulled the reset line; called on a vCPU thread.</param>
    public LegacyDevices(KvmVm vm, AddressBus ports, EventLoop loop, string? serialOutPath, Action reset)
    {
        _serialLine = new IrqFdLine(vm, MemoryLayout.SerialGsi);
        _console = new SerialConsole(_serialLine, loop, serialOutPath);
        _keyboardLine = new IrqFdLine(vm, MemoryLayout.KeyboardGsi);
        Keyboard = new I8042(_keyboardLine, reset);
        ports.Insert(MemoryLayout.SerialPort, Serial.PortCount, _console.Port);
        ports.Insert(I8042.BasePort, I8042.PortCount, Keyboard);
    }

    public I8042 Keyboard { get; }

    public Serial Serial => _console.Port;

    public void Dispose()
    {
        _console.Dispose();
        _serialLine.Dispose();
        _keyboardLine.Dispose();
    }
}
