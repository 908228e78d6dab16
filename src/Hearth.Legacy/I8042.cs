using Hearth.Platform.Bus;
using Hearth.Platform.Interrupts;
using Hearth.Platform.State;

namespace Hearth.Legacy;

/// <summary>
/// As much of an i8042 keyboard controller as Linux needs to reboot through it and to hear Ctrl-Alt-Del: ports 0x60
/// (data) and 0x64 (command and status), keyboard interrupt. Source: IBM PS/2 Hardware Interface Technical Reference.
/// <para>Thread: any; one lock.</para>
/// </summary>
public sealed class I8042 : IBusDevice, ISnapshottable<I8042State>
{
    /// <summary>The first port.</summary>
    public const ulong BasePort = 0x60;

    /// <summary>The ports from data to command.</summary>
    public const ulong PortCount = 5;

    private const ulong Data = 0;

    // Port 0x61, which an in-kernel PIT answers before it gets here.
    private const ulong SpeakerControl = 1;
    private const ulong Command = 4;
    private const int OutputCapacity = 16;

    private const byte ReadControl = 0x20;
    private const byte WriteControl = 0x60;
    private const byte ReadOutputPort = 0xd0;
    private const byte WriteOutputPort = 0xd1;
    private const byte WriteKeyboardOutput = 0xd2;
    private const byte WriteMouseOutput = 0xd3;
    private const byte WriteMouse = 0xd4;
    private const byte SelfTest = 0xaa;
    private const byte TestKeyboard = 0xab;
    private const byte KeyboardWorks = 0;
    private const byte TestMouse = 0xa9;
    private const byte MouseClockStuck = 0x02;
    private const byte DisableMouse = 0xa7;
    private const byte EnableMouse = 0xa8;
    private const byte DisableKeyboard = 0xad;
    private const byte EnableKeyboard = 0xae;
    private const byte ResetCpu = 0xfe;
    private const byte SelfTestPassed = 0x55;

    private const byte StatusOutputFull = 0x01;
    private const byte StatusSystem = 0x04;
    private const byte StatusUnlocked = 0x10;
    private const byte StatusCommand = 0x08;
    private const byte ControlKeyboardInterrupt = 0x01;
    private const byte ControlPowerOn = 0x04;
    private const byte ControlTranslate = 0x40;
    private const byte ControlKeyboardOff = 0x10;
    private const byte ControlMouseOff = 0x20;
    private const byte OutputPortNoResetA20 = 0x03;
    private const byte Acknowledge = 0xfa;
    private const byte KeyboardId = 0xab;

    // Ctrl, Alt, Del down: as the keyboard sends it (set 2), and as the controller translates it (set 1).
    private static ReadOnlySpan<byte> CtrlAltDel => [0x14, 0x11, 0xe0, 0x71];

    private static ReadOnlySpan<byte> CtrlAltDelTranslated => [0x1d, 0x38, 0xe0, 0x53];

    private readonly Lock _lock = new();
    private readonly IInterruptLine _line;
    private readonly Action _reset;
    private readonly byte[] _output = new byte[OutputCapacity];
    private int _start;
    private int _count;
    private byte _command;
    private byte _control = ControlPowerOn;
    private byte _outputPort = OutputPortNoResetA20;

    /// <param name="line">The keyboard's interrupt, IRQ 1.</param>
    /// <param name="reset">The guest pulled the reset line. Called on a vCPU thread; must not block.</param>
    public I8042(IInterruptLine line, Action reset)
    {
        _line = line;
        _reset = reset;
    }

    public I8042Metrics Metrics { get; } = new();

    public void Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        lock (_lock)
        {
            if (data.Length != 1)
            {
                Metrics.MissedReadCount.Increment();
                return;
            }

            Metrics.ReadCount.Increment();
            switch (offset)
            {
                case Data:
                    data[0] = Pop();
                    break;
                case Command:
                    data[0] = (byte)(StatusSystem | StatusUnlocked | (_count > 0 ? StatusOutputFull : 0) | (_command != 0 ? StatusCommand : 0));
                    break;
                case SpeakerControl:
                    // Refresh toggles, timer 2 stands still: what a calibration loop would wait for never comes, so none waits.
                    data[0] = 0x20;
                    break;
                default:
                    Metrics.MissedReadCount.Increment();
                    break;
            }
        }
    }

    public void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        bool reset = false;
        lock (_lock)
        {
            if (data.Length != 1)
            {
                Metrics.MissedWriteCount.Increment();
                return;
            }

            Metrics.WriteCount.Increment();
            switch (offset)
            {
                case Data:
                    WriteData(data[0]);
                    break;
                case Command:
                    reset = WriteCommand(data[0]);
                    break;
                default:
                    Metrics.MissedWriteCount.Increment();
                    break;
            }
        }

        if (reset)
        {
            _reset();
        }
    }

    /// <summary>Types Ctrl-Alt-Del; false where the guest has not read what was typed before.</summary>
    public bool TriggerCtrlAltDel()
    {
        lock (_lock)
        {
            if (OutputCapacity - _count < CtrlAltDel.Length)
            {
                Metrics.ErrorCount.Increment();
                return false;
            }

            foreach (byte code in (_control & ControlTranslate) != 0 ? CtrlAltDelTranslated : CtrlAltDel)
            {
                Push(code);
            }

            RaiseIfEnabled();
            return true;
        }
    }

    public I8042State Save()
    {
        lock (_lock)
        {
            byte[] output = new byte[_count];
            for (int i = 0; i < output.Length; i++)
            {
                output[i] = _output[(_start + i) % OutputCapacity];
            }

            return new I8042State { Command = _command, Control = _control, OutputPort = _outputPort, Output = output };
        }
    }

    public void Restore(I8042State state)
    {
        if (state.Output.Length > OutputCapacity)
        {
            throw new Linux.HearthException($"The snapshot's keyboard controller holds {state.Output.Length} bytes, and {OutputCapacity} fit. The snapshot is damaged.");
        }

        lock (_lock)
        {
            _command = state.Command;
            _control = state.Control;
            _outputPort = state.OutputPort;
            _start = 0;
            _count = state.Output.Length;
            state.Output.CopyTo(_output, 0);
            if (_count > 0)
            {
                RaiseIfEnabled();
            }
        }
    }

    // True: reset the machine.
    private bool WriteCommand(byte command)
    {
        switch (command)
        {
            case ReadControl:
                Answer(_control);
                break;
            case ReadOutputPort:
                Answer(_outputPort);
                break;
            case SelfTest:
                Answer(SelfTestPassed);
                break;
            case TestKeyboard:
                Answer(KeyboardWorks);
                break;
            case TestMouse:
                // A driver that gets no answer waits half a second for one.
                Answer(MouseClockStuck);
                break;
            case DisableMouse:
                _control |= ControlMouseOff;
                break;
            case EnableMouse:
                _control = (byte)(_control & ~ControlMouseOff);
                break;
            case DisableKeyboard:
                _control |= ControlKeyboardOff;
                break;
            case EnableKeyboard:
                _control = (byte)(_control & ~ControlKeyboardOff);
                break;
            case WriteControl or WriteOutputPort or WriteKeyboardOutput or WriteMouseOutput or WriteMouse:
                // Its argument comes through the data port.
                _command = command;
                break;
            case ResetCpu:
                Metrics.ResetCount.Increment();
                return true;
        }

        return false;
    }

    private void WriteData(byte value)
    {
        byte command = _command;
        _command = 0;
        switch (command)
        {
            case WriteControl:
                _control = value;
                break;
            case WriteOutputPort:
                _outputPort = value;
                break;
            case WriteKeyboardOutput:
                Answer(value);
                RaiseIfEnabled();
                break;
            case WriteMouseOutput:
                // Comes back without the mark of the mouse's data, which tells a driver at once that there is no mouse port.
                Answer(value);
                break;
            case WriteMouse:
                // No mouse: the argument goes nowhere, and above all not to the keyboard.
                break;
            case 0:
                // A command for the keyboard itself: acknowledged, and F2 (identify) answered.
                Answer(Acknowledge);
                if (value == 0xf2)
                {
                    Push(KeyboardId);
                    Push(0x83);
                }

                RaiseIfEnabled();
                break;
        }
    }

    private void Answer(byte value)
    {
        // Old answers that nobody read would be taken for this one.
        _count = 0;
        Push(value);
    }

    private void RaiseIfEnabled()
    {
        if ((_control & ControlKeyboardInterrupt) != 0)
        {
            _line.Trigger();
        }
    }

    private void Push(byte value)
    {
        if (_count < OutputCapacity)
        {
            _output[(_start + _count) % OutputCapacity] = value;
            _count++;
        }
    }

    private byte Pop()
    {
        if (_count == 0)
        {
            return 0;
        }

        byte value = _output[_start];
        _start = (_start + 1) % OutputCapacity;
        _count--;
        if (_count > 0)
        {
            RaiseIfEnabled();
        }

        return value;
    }
}
