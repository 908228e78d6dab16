namespace Hearth.Lab.Tests;

/// <summary>virtio-rng with a real driver.</summary>
public class EntropyTests
{
    [Fact]
    public void The_guest_reads_the_hosts_random_bytes()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            """
            mknod /dev/hwrng c 10 183 2>/dev/null
            echo RNG=$(cat /sys/class/misc/hw_random/rng_current)
            echo DISTINCT=$(dd if=/dev/hwrng bs=32 count=8 2>/dev/null | od -An -v -tx1 -w32 | sort -u | wc -l)
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, "console=ttyS0 reboot=k panic=1 quiet");
        monitor.Put("/entropy", "{}");
        monitor.Start();
        monitor.Await("RNG=virtio_rng");
        monitor.Await("DISTINCT=8");
        Assert.Equal(0, monitor.AwaitExit());
    }
}
