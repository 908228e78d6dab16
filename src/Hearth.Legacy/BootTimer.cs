using System.Globalization;
using Hearth.Platform.Bus;

namespace Hearth.Legacy;

/// <summary>
/// A page of MMIO with one register: a guest that writes the byte 123 to offset 0 says that it is up, and the log
/// says how long that took. Source: Firecracker <c>--boot-timer</c>.
/// <para>Deviates: only the first such write is logged, so that a guest cannot fill the host's disk.</para>
/// <para>Thread: any.</para>
/// </summary>
public sealed class BootTimer : IBusDevice
{
    /// <summary>Bytes of MMIO.</summary>
    public const ulong LengthBytes = 0x1000;

    private const byte GuestIsUp = 123;

    private readonly BootInstant _requested;
    private readonly Action<string> _log;
    private readonly Func<BootInstant> _clock;
    private int _reported;

    /// <param name="requested">When the start was asked for.</param>
    /// <param name="log">Takes the line. Called on a vCPU thread.</param>
    /// <param name="clock">Tells the time; null for the real one.</param>
    public BootTimer(BootInstant requested, Action<string> log, Func<BootInstant>? clock = null)
    {
        _requested = requested;
        _log = log;
        _clock = clock ?? BootInstant.Now;
    }

    public void Read(ulong offset, Span<byte> data) => data.Clear();

    public void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset != 0 || data.Length != 1 || data[0] != GuestIsUp || Interlocked.Exchange(ref _reported, 1) != 0)
        {
            return;
        }

        BootInstant now = _clock();
        long wallUs = now.MonotonicUs - _requested.MonotonicUs;
        long cpuUs = now.CpuUs - _requested.CpuUs;
        _log(string.Create(CultureInfo.InvariantCulture, $"Guest-boot-time = {wallUs,6} us {wallUs / 1000} ms, {cpuUs,6} CPU us {cpuUs / 1000} CPU ms"));
    }
}
