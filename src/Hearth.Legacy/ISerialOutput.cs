namespace Hearth.Legacy;

/// <summary>Where a serial port's bytes go. Thread: any, under the port's lock.</summary>
public interface ISerialOutput
{
    /// <summary>Takes what it can without blocking; returns how many bytes that was.</summary>
    int Write(ReadOnlySpan<byte> data);

    /// <summary>Asks for a call of <see cref="Serial.Flush"/> within some milliseconds, from another thread.</summary>
    void FlushSoon();
}
