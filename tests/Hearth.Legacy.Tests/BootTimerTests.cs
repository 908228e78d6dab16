namespace Hearth.Legacy.Tests;

public sealed class BootTimerTests
{
    private readonly List<string> _lines = [];
    private readonly BootTimer _timer;

    public BootTimerTests() => _timer = new BootTimer(new BootInstant(1_000, 100), _lines.Add, static () => new BootInstant(126_512, 4_099));

    [Fact]
    public void The_magic_byte_logs_both_clocks_in_Firecrackers_words()
    {
        _timer.Write(0, [123]);

        Assert.Equal(["Guest-boot-time = 125512 us 125 ms,   3999 CPU us 3 CPU ms"], _lines);
    }

    [Fact]
    public void A_guest_that_writes_for_ever_gets_one_line()
    {
        for (int i = 0; i < 10; i++)
        {
            _timer.Write(0, [123]);
        }

        Assert.Single(_lines);
    }

    [Fact]
    public void Anything_else_is_ignored()
    {
        _timer.Write(0, [122]);
        _timer.Write(1, [123]);
        _timer.Write(0, [123, 0]);
        Span<byte> read = [1, 2, 3, 4];
        _timer.Read(0, read);

        Assert.Empty(_lines);
        Assert.Equal(new byte[4], read.ToArray());
    }

    [Fact]
    public void Both_real_clocks_move_on()
    {
        BootInstant start = BootInstant.Now();
        BootInstant now = start;
        long deadline = Environment.TickCount64 + 30_000;
        while ((now.CpuUs == start.CpuUs || now.MonotonicUs == start.MonotonicUs) && Environment.TickCount64 < deadline)
        {
            now = BootInstant.Now();
        }

        Assert.True(now.CpuUs > start.CpuUs);
        Assert.True(now.MonotonicUs > start.MonotonicUs);
    }
}
