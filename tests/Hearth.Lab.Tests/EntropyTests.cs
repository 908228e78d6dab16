namespace Hearth.Lab.Tests;

/// <summary>virtio-rng with a real driver.</summary>
public class EntropyTests
{
    [Fact]
    public void The_guest_reads_the_hosts_random_bytes_no_faster_than_it_may()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            """
            mknod /dev/hwrng c 10 183 2>/dev/null
            echo RNG=$(cat /sys/class/misc/hw_random/rng_current)
            echo DISTINCT=$(dd if=/dev/hwrng bs=32 count=8 2>/dev/null | od -An -v -tx1 -w32 | sort -u | wc -l)
            begin=$(now); dd if=/dev/hwrng of=/dev/null bs=500 count=12 2>/dev/null; echo TOOK=$(($(now) - begin))
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, "console=ttyS0 reboot=k panic=1 quiet");
        monitor.Put("/entropy", """{"rate_limiter": {"bandwidth": {"size": 2000, "refill_time": 1000}}}""");
        monitor.Start();
        monitor.Await("RNG=virtio_rng");
        monitor.Await("DISTINCT=8");
        // 6,000 bytes at 2,000 a second, from a bucket that is full at best: hundredths of the guest's seconds.
        Assert.InRange(int.Parse(monitor.Await(@"TOOK=(\d+)"), System.Globalization.CultureInfo.InvariantCulture), 190, int.MaxValue);
        Assert.Equal(0, monitor.AwaitExit());
    }
}
