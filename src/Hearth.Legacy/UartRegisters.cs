namespace Hearth.Legacy;

/// <summary>Registers and bits of a 16550A. Source: National Semiconductor PC16550D, table II.</summary>
internal static class UartRegisters
{
    // Registers, by port. 0 and 1 are the divisor's halves while LCR has DLAB.
    public const ulong Data = 0;
    public const ulong InterruptEnable = 1;
    public const ulong InterruptIdOrFifoControl = 2;
    public const ulong LineControl = 3;
    public const ulong ModemControl = 4;
    public const ulong LineStatus = 5;
    public const ulong ModemStatus = 6;
    public const ulong Scratch = 7;

    public const byte IerReceived = 0x01;
    public const byte IerTransmitEmpty = 0x02;
    public const byte IerMask = 0x0f;
    public const byte IirNone = 0x01;
    public const byte IirTransmitEmpty = 0x02;
    public const byte IirReceived = 0x04;
    public const byte IirFifo = 0xc0;
    public const byte FcrEnable = 0x01;
    public const byte FcrClearInput = 0x02;
    public const byte LcrDivisorLatch = 0x80;
    public const byte McrDtr = 0x01;
    public const byte McrRts = 0x02;
    public const byte McrOut1 = 0x04;
    public const byte McrOut2 = 0x08;
    public const byte McrLoop = 0x10;
    public const byte McrMask = 0x1f;
    public const byte LsrDataReady = 0x01;
    public const byte LsrTransmitEmpty = 0x60;
    public const byte MsrCts = 0x10;
    public const byte MsrDsr = 0x20;
    public const byte MsrRing = 0x40;
    public const byte MsrCarrier = 0x80;
}
