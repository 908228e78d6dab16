namespace Hearth.Lab.Tests;

/// <summary>A running guest's life: pause and resume, Ctrl-Alt-Del, what is asked too late.</summary>
public class LifeTests
{
    private const string Quiet = "console=ttyS0 reboot=k panic=1 quiet";

    [Fact]
    public void A_paused_guest_stands_still_and_goes_on()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo TICK=$i; sleep 0.05; done");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.PutMachine(2, 128);
        monitor.Start();
        monitor.Await("TICK=3\n");
        for (int round = 0; round < 3; round++)
        {
            monitor.Patch("/vm", """{"state": "Paused"}""");
            Assert.Contains("\"Paused\"", monitor.Request("GET", "/").Body, StringComparison.Ordinal);
            // What was already on its way arrives; then nothing does, however long one looks.
            string before = string.Empty;
            monitor.WaitUntil(() => before == (before = Ticks(monitor)), "a quiet console");
            monitor.Request("GET", "/");
            Assert.Equal(before, Ticks(monitor));
            monitor.Patch("/vm", """{"state": "Resumed"}""");
            monitor.Await(@"TICK=\d+\n");
        }

        Assert.Contains("\"Running\"", monitor.Request("GET", "/").Body, StringComparison.Ordinal);
    }

    [Fact]
    public void Ctrl_alt_del_reaches_init()
    {
        using var monitor = new MonitorProcess();
        // The kernel sends SIGINT to init when it is told not to reboot by itself.
        string initrd = Lab.WriteInitrd(monitor.Folder, "trap 'echo KEYS; reboot -f' INT; echo 0 > /proc/sys/kernel/ctrl-alt-del; echo READY; while :; do sleep 0.1; done");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Start();
        monitor.Await("READY");
        monitor.Put("/actions", """{"action_type": "SendCtrlAltDel"}""");
        monitor.Await("KEYS");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_running_guest_refuses_what_must_come_before_it_and_runs_on()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "echo READY; read line; echo GOT=$line");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Start();
        monitor.Await("READY");
        (int status, string body) = monitor.Request("PUT", "/machine-config", """{"vcpu_count": 2, "mem_size_mib": 128}""");
        Assert.Equal(400, status);
        Assert.Contains("not supported after starting the microVM", body, StringComparison.Ordinal);
        monitor.Type("hello");
        monitor.Await("GOT=hello");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_kernel_that_is_none_is_refused_and_can_be_corrected()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, string.Empty);
        string text = Path.Combine(monitor.Folder, "text");
        File.WriteAllText(text, "this is no kernel");
        monitor.PutBootSource(text, initrd, Quiet);
        (int status, string body) = monitor.Request("PUT", "/actions", """{"action_type": "InstanceStart"}""");
        Assert.Equal(400, status);
        Assert.Contains("neither an ELF file nor a bzImage", body, StringComparison.Ordinal);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Start();
        monitor.Await("GUEST-DONE");
        Assert.Equal(0, monitor.AwaitExit());
    }

    // The monitor's own log of each request is among the guest's lines.
    private static string Ticks(MonitorProcess monitor) => string.Join('\n', monitor.Console.Split('\n').Where(line => line.Contains("TICK=", StringComparison.Ordinal)));
}
