namespace Hearth.Legacy;

/// <summary>What a snapshot keeps of a serial port: its registers and the input the guest has not read.</summary>
public sealed record SerialState
{
    public required byte InterruptEnable { get; init; }

    public required byte LineControl { get; init; }

    public required byte ModemControl { get; init; }

    public required byte Scratch { get; init; }

    public required ushort Divisor { get; init; }

    public required bool FifoEnabled { get; init; }

    public required bool TransmitPending { get; init; }

    public required byte[] Input { get; init; }
}
