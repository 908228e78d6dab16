using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Tests.Telemetry;

public sealed class LimitedLogTests
{
    private readonly List<string> _lines = [];
    private readonly LimitedLog _log;
    private long _nowMs = 1_000_000;

    public LimitedLogTests() => _log = new LimitedLog(_lines.Add, () => _nowMs);

    [Fact]
    public void A_guest_that_complains_for_ever_gets_ten_lines_and_then_one_in_ten_seconds()
    {
        for (int i = 0; i < 1000; i++)
        {
            _log.Write("broken");
        }

        Assert.Equal(10, _lines.Count);

        _nowMs += 10_000;
        _log.Write("broken");
        _log.Write("broken");

        Assert.Equal("990 messages like the next were left out.", _lines[10]);
        Assert.Equal("broken", _lines[11]);
        Assert.Equal(12, _lines.Count);
    }

    [Fact]
    public void Quiet_earns_no_more_than_one_burst()
    {
        _nowMs += 1_000_000_000;
        for (int i = 0; i < 100; i++)
        {
            _log.Write("broken");
        }

        Assert.Equal(10, _lines.Count);
    }
}
