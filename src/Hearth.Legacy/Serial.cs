using Hearth.Platform.Bus;
using Hearth.Platform.Interrupts;
using Hearth.Platform.State;
using static Hearth.Legacy.UartRegisters;

namespace Hearth.Legacy;

/// <summary>
/// A 16550A UART: eight byte-wide registers at a port, one interrupt. Source: National Semiconductor PC16550D.
/// <para>Output is buffered: it leaves at a newline, when the buffer is full, or some milliseconds later. A consumer
/// that does not keep up is felt by the guest as a transmitter that is never empty; nothing is dropped unless the
/// guest writes all the same.</para>
/// <para>The interrupt is edge-triggered: an edge when a cause appears, none while it lasts.</para>
/// <para>Thread: any; one lock.</para>
/// </summary>
public sealed class Serial : IBusDevice, ISnapshottable<SerialState>
{
    /// <summary>How many ports the UART takes.</summary>
    public const ulong PortCount = 8;

    private const int InputCapacity = 64;
    private const int OutputCapacity = 4096;

    // Guards everything below, and the order of output.
    private readonly Lock _lock = new();
    private readonly IInterruptLine _line;
    private readonly ISerialOutput _output;
    private readonly byte[] _out = new byte[OutputCapacity];
    private readonly byte[] _in = new byte[InputCapacity];
    private int _outCount;
    private int _inStart;
    private int _inCount;
    private byte _ier;
    private byte _lcr = 0x03;
    private byte _mcr = McrOut2;
    private byte _scratch;
    private ushort _divisor = 12;
    private bool _fifoEnabled;
    private bool _transmitPending;
    private bool _inputWaits;

    public Serial(IInterruptLine line, ISerialOutput output)
    {
        _line = line;
        _output = output;
    }

    /// <summary>Called, outside the lock, when input that did not fit may be offered again. Set before the guest runs.</summary>
    public Action? InputSpaceFreed { get; set; }

    public SerialMetrics Metrics { get; } = new();

    public void Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        bool freed;
        lock (_lock)
        {
            if (data.Length != 1)
            {
                Metrics.MissedReadCount.Increment();
                return;
            }

            data[0] = ReadRegister(offset);
            freed = TakeInputSpaceFreed();
        }

        if (freed)
        {
            InputSpaceFreed?.Invoke();
        }
    }

    public void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        bool freed;
        lock (_lock)
        {
            if (data.Length != 1)
            {
                Metrics.MissedWriteCount.Increment();
                return;
            }

            WriteRegister(offset, data[0]);
            freed = TakeInputSpaceFreed();
        }

        if (freed)
        {
            InputSpaceFreed?.Invoke();
        }
    }

    /// <summary>Gives the guest input; returns how many bytes fitted. The rest may come after <see cref="InputSpaceFreed"/>.</summary>
    public int EnqueueInput(ReadOnlySpan<byte> data)
    {
        lock (_lock)
        {
            // In loopback the receiver hears only the transmitter.
            int count = (_mcr & McrLoop) != 0 ? 0 : Math.Min(data.Length, InputCapacity - _inCount);
            for (int i = 0; i < count; i++)
            {
                Push(data[i]);
            }

            if (count > 0)
            {
                RaiseIf(IerReceived);
            }

            _inputWaits |= count < data.Length;
            return count;
        }
    }

    /// <summary>Sends what is buffered, as far as the output takes it.</summary>
    public void Flush()
    {
        lock (_lock)
        {
            bool wasFull = _outCount == OutputCapacity;
            FlushLocked();
            if (_outCount > 0)
            {
                _output.FlushSoon();
            }

            if (wasFull && _outCount < OutputCapacity)
            {
                BecomeEmpty();
            }
        }
    }

    public SerialState Save()
    {
        lock (_lock)
        {
            FlushLocked();
            byte[] input = new byte[_inCount];
            for (int i = 0; i < input.Length; i++)
            {
                input[i] = _in[(_inStart + i) % InputCapacity];
            }

            return new SerialState
            {
                InterruptEnable = _ier,
                LineControl = _lcr,
                ModemControl = _mcr,
                Scratch = _scratch,
                Divisor = _divisor,
                FifoEnabled = _fifoEnabled,
                TransmitPending = _transmitPending,
                Input = input,
            };
        }
    }

    public void Restore(SerialState state)
    {
        if (state.Input.Length > InputCapacity)
        {
            throw new Linux.HearthException($"The snapshot's serial port has {state.Input.Length} bytes of input, and {InputCapacity} fit. The snapshot is damaged.");
        }

        lock (_lock)
        {
            _ier = (byte)(state.InterruptEnable & IerMask);
            _lcr = state.LineControl;
            _mcr = (byte)(state.ModemControl & McrMask);
            _scratch = state.Scratch;
            _divisor = state.Divisor;
            _fifoEnabled = state.FifoEnabled;
            _transmitPending = state.TransmitPending;
            _inStart = 0;
            _inCount = state.Input.Length;
            state.Input.CopyTo(_in, 0);
            if (InterruptId() != IirNone)
            {
                _line.Trigger();
            }
        }
    }

    private bool DivisorLatched => (_lcr & LcrDivisorLatch) != 0;

    private byte ReadRegister(ulong offset)
    {
        switch (offset)
        {
            case Data when DivisorLatched:
                return (byte)_divisor;
            case Data:
                Metrics.ReadCount.Increment();
                return Pop();
            case InterruptEnable when DivisorLatched:
                return (byte)(_divisor >> 8);
            case InterruptEnable:
                return _ier;
            case InterruptIdOrFifoControl:
                byte id = InterruptId();
                if (id == IirTransmitEmpty)
                {
                    // Reading it acknowledges it.
                    _transmitPending = false;
                }

                return (byte)(id | (_fifoEnabled ? IirFifo : 0));
            case LineControl:
                return _lcr;
            case ModemControl:
                return _mcr;
            case LineStatus:
                return (byte)((_inCount > 0 ? LsrDataReady : 0) | (_outCount < OutputCapacity ? LsrTransmitEmpty : 0));
            case ModemStatus:
                return (_mcr & McrLoop) == 0 ? (byte)(MsrCts | MsrDsr | MsrCarrier) : LoopedModemStatus();
            case Scratch:
                return _scratch;
            default:
                Metrics.MissedReadCount.Increment();
                return 0;
        }
    }

    private void WriteRegister(ulong offset, byte value)
    {
        switch (offset)
        {
            case Data when DivisorLatched:
                _divisor = (ushort)((_divisor & 0xff00) | value);
                break;
            case Data:
                Transmit(value);
                break;
            case InterruptEnable when DivisorLatched:
                _divisor = (ushort)((_divisor & 0x00ff) | (value << 8));
                break;
            case InterruptEnable:
                EnableInterrupts((byte)(value & IerMask));
                break;
            case InterruptIdOrFifoControl:
                _fifoEnabled = (value & FcrEnable) != 0;
                if ((value & FcrClearInput) != 0)
                {
                    _inCount = 0;
                }

                break;
            case LineControl:
                _lcr = value;
                break;
            case ModemControl:
                _mcr = (byte)(value & McrMask);
                break;
            case LineStatus or ModemStatus:
                // Read-only; drivers write them in factory tests.
                break;
            case Scratch:
                _scratch = value;
                break;
            default:
                Metrics.MissedWriteCount.Increment();
                break;
        }
    }

    private void EnableInterrupts(byte value)
    {
        bool transmitTurnedOn = (value & ~_ier & IerTransmitEmpty) != 0;
        _ier = value;
        if (transmitTurnedOn && _outCount < OutputCapacity)
        {
            _transmitPending = true;
        }

        if (InterruptId() != IirNone)
        {
            _line.Trigger();
        }
    }

    private void Transmit(byte value)
    {
        if ((_mcr & McrLoop) != 0)
        {
            if (_inCount < InputCapacity)
            {
                Push(value);
                RaiseIf(IerReceived);
            }
            else
            {
                Metrics.ErrorCount.Increment();
            }

            // What loops back has left the transmitter, and a driver may wait for that interrupt.
            BecomeEmpty();
            return;
        }

        if (_outCount == OutputCapacity)
        {
            Metrics.ErrorCount.Increment();
            return;
        }

        Metrics.WriteCount.Increment();
        _out[_outCount++] = value;
        if (value == (byte)'\n' || _outCount == OutputCapacity)
        {
            FlushLocked();
        }

        if (_outCount > 0)
        {
            _output.FlushSoon();
        }

        if (_outCount < OutputCapacity)
        {
            BecomeEmpty();
        }
    }

    private void FlushLocked()
    {
        if (_outCount == 0)
        {
            return;
        }

        int taken = _output.Write(_out.AsSpan(0, _outCount));
        if (taken > 0)
        {
            Metrics.FlushCount.Increment();
            _out.AsSpan(taken, _outCount - taken).CopyTo(_out);
            _outCount -= taken;
        }
    }

    private void BecomeEmpty()
    {
        // The guest fills its 16-byte FIFO on one interrupt: an edge a byte would be 16 system calls for nothing.
        if (!_transmitPending)
        {
            _transmitPending = true;
            RaiseIf(IerTransmitEmpty);
        }
    }

    private void RaiseIf(byte cause)
    {
        if ((_ier & cause) != 0)
        {
            _line.Trigger();
        }
    }

    private byte InterruptId()
    {
        if (_inCount > 0 && (_ier & IerReceived) != 0)
        {
            return IirReceived;
        }

        return _transmitPending && (_ier & IerTransmitEmpty) != 0 ? IirTransmitEmpty : IirNone;
    }

    private byte LoopedModemStatus() => (byte)(
        ((_mcr & McrRts) != 0 ? MsrCts : 0)
        | ((_mcr & McrDtr) != 0 ? MsrDsr : 0)
        | ((_mcr & McrOut1) != 0 ? MsrRing : 0)
        | ((_mcr & McrOut2) != 0 ? MsrCarrier : 0));

    private void Push(byte value)
    {
        _in[(_inStart + _inCount) % InputCapacity] = value;
        _inCount++;
    }

    private byte Pop()
    {
        if (_inCount == 0)
        {
            return 0;
        }

        byte value = _in[_inStart];
        _inStart = (_inStart + 1) % InputCapacity;
        _inCount--;
        return value;
    }

    // True once after input was refused, when there is room for a good part again.
    private bool TakeInputSpaceFreed()
    {
        if (!_inputWaits || _inCount > InputCapacity / 2 || (_mcr & McrLoop) != 0)
        {
            return false;
        }

        _inputWaits = false;
        return true;
    }
}
