namespace Hearth.Linux.Tests;

public sealed class BackoffTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(8, 1)]
    [InlineData(80, 10)]
    [InlineData(400, 50)]
    [InlineData(3_600_000, 50)]
    public void Pauses_grow_with_what_has_been_waited_and_have_a_limit(int elapsedMs, int pauseMs) =>
        Assert.Equal(TimeSpan.FromMilliseconds(pauseMs), Backoff.PauseAfter(TimeSpan.FromMilliseconds(elapsedMs)));

    [Fact]
    public void It_says_when_the_time_is_up()
    {
        Assert.False(new Backoff(TimeSpan.FromHours(1)).IsOver);
        var brief = new Backoff(TimeSpan.Zero);
        Assert.True(SpinWait.SpinUntil(() => brief.IsOver, TimeSpan.FromMinutes(1)));
        Assert.InRange(brief.Pause, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(50));
    }
}
