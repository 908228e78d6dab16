namespace Hearth.Kvm.Tests;

public sealed class KvmSpeedTests
{
    [Fact]
    public void A_loop_of_ten_thousand_instructions_runs_to_its_end_and_is_timed()
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        Assert.InRange(KvmSpeed.Measure(), double.Epsilon, 1e9);
    }
}
