using Hearth.Testing;

namespace Hearth.Legacy.Tests;

/// <summary>The guest's side of a serial port: registers as a driver reads and writes them.</summary>
internal sealed class UartDriver
{
    public const byte FifoEnable = 0x01;
    public const byte FifoClearReceived = 0x02;
    public const byte InterruptReceived = 0x01;
    public const byte InterruptTransmitEmpty = 0x02;
    public const byte NoInterrupt = 0xc1;
    public const byte TransmitEmptyInterrupt = 0xc2;
    public const byte ReceivedInterrupt = 0xc4;
    public const byte Loop = 0x10;

    public UartDriver()
    {
        Port = new Serial(Line, Output);
        FifoControl = FifoEnable;
    }

    public CollectingOutput Output { get; } = new();

    public RecordingInterruptLine Line { get; } = new();

    public Serial Port { get; }

    public byte Data
    {
        get => Read(0);
        set => Write(0, value);
    }

    public byte InterruptEnable
    {
        get => Read(1);
        set => Write(1, value);
    }

    public byte InterruptId => Read(2);

    public byte FifoControl
    {
        set => Write(2, value);
    }

    public byte LineControl
    {
        get => Read(3);
        set => Write(3, value);
    }

    public byte ModemControl
    {
        get => Read(4);
        set => Write(4, value);
    }

    public byte LineStatus => Read(5);

    public byte ModemStatus => Read(6);

    public bool DataReady => (LineStatus & 0x01) != 0;

    public bool TransmitterEmpty => (LineStatus & 0x60) == 0x60;

    public byte Read(ulong register)
    {
        Span<byte> value = [0xee];
        Port.Read(register, value);
        return value[0];
    }

    public void Write(ulong register, byte value) => Port.Write(register, [value]);

    public void Send(ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            Data = value;
        }
    }

    /// <summary>Reads until the port has nothing more.</summary>
    public byte[] Receive()
    {
        var received = new List<byte>();
        while (DataReady)
        {
            received.Add(Data);
        }

        return [.. received];
    }
}
