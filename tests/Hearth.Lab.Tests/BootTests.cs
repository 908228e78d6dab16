namespace Hearth.Lab.Tests;

/// <summary>Real guests, started through the REST API by curl.</summary>
public class BootTests
{
    private const string Quiet = "console=ttyS0 reboot=k panic=1 quiet";

    [Theory]
    [InlineData(1, 128)]
    [InlineData(4, 128)]
    [InlineData(1, 64)]
    public void The_built_kernel_sees_its_processors_and_memory(int vcpus, int memoryMib)
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "echo NPROC=$(nproc); grep MemTotal /proc/meminfo");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.PutMachine(vcpus, memoryMib);
        monitor.Start();
        monitor.Await($"NPROC={vcpus}\n");
        monitor.Await(@"MemTotal: +\d+ kB");
        int totalMib = MemTotalMib(monitor.Console);
        Assert.InRange(totalMib, memoryMib / 2, memoryMib);
        monitor.Await("GUEST-DONE");
        Assert.Equal(0, monitor.AwaitExit());
        Assert.False(File.Exists(monitor.Socket), "the socket is still there");
    }

    [Fact]
    public void A_guest_of_four_gib_uses_the_memory_above_the_gap()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "grep MemTotal /proc/meminfo; grep 'System RAM' /proc/iomem");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.PutMachine(1, 4096);
        monitor.Start();
        monitor.Await(@"MemTotal: +\d+ kB");
        Assert.InRange(MemTotalMib(monitor.Console), 3900, 4096);
        monitor.Await("100000000-13fffffff : System RAM");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Theory]
    [InlineData("Transparent", "AnonHugePages")]
    [InlineData("2M", "Hugetlb")]
    public void A_guest_has_huge_pages_where_it_is_to_have_them(string pages, string counted)
    {
        using var reserved = new HugePagePool(64);
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "sleep 1000");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/machine-config", $$"""{"vcpu_count": 1, "mem_size_mib": 128, "huge_pages": "{{pages}}"}""");
        monitor.Start();
        monitor.Await("GUEST-UP");
        Assert.InRange(HugePagePool.KibOf(monitor.Id, counted), 8 << 10, 128 << 10);
    }

    [Fact]
    public void A_stock_debian_boots_to_its_login_answers_and_reboots_out()
    {
        using var monitor = new MonitorProcess();
        string disk = Path.Combine(monitor.Folder, "rootfs.ext4");
        File.Copy(Lab.RootFilesystem, disk);
        monitor.PutBootSource(Lab.StockKernel, Lab.StockInitrd, Quiet);
        monitor.PutMachine(1, 256);
        monitor.Put("/drives/rootfs", $$"""{"drive_id": "rootfs", "path_on_host": "{{disk}}", "is_root_device": true, "is_read_only": false}""");
        monitor.Start();
        monitor.Await("hearth login: ");
        monitor.Type("root");
        monitor.Await("# ");
        monitor.Type("echo KERNEL=$(uname -r) ROOT=$(findmnt -no SOURCE /)");
        monitor.Await("KERNEL=[0-9.-]+-cloud-amd64 ROOT=/dev/vda");
        monitor.Type("reboot");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_guest_that_powers_off_by_acpi_ends_the_monitor()
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, "poweroff -f");
        monitor.PutBootSource(Lab.StockKernel, initrd, Quiet);
        monitor.PutMachine(1, 256);
        monitor.Start();
        monitor.Await("GUEST-UP");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Theory]
    [InlineData("t")]
    [InlineData("k")]
    public void Each_way_to_reset_ends_the_monitor(string how)
    {
        using var monitor = new MonitorProcess();
        string initrd = Lab.WriteInitrd(monitor.Folder, string.Empty);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, $"console=ttyS0 reboot={how} panic=1 quiet");
        monitor.Start();
        monitor.Await("GUEST-DONE");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_config_file_without_an_api_starts_the_guest()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-lab-").FullName;
        string initrd = Lab.WriteInitrd(folder, "cat /proc/cmdline");
        string config = Path.Combine(folder, "vm.json");
        File.WriteAllText(config, $$"""
            {"boot-source": {"kernel_image_path": "{{Lab.BuiltKernel}}", "initrd_path": "{{initrd}}", "boot_args": "{{Quiet}} fruit=apple"},
             "drives": []}
            """);
        using (var monitor = new MonitorProcess("--no-api", "--config-file", config))
        {
            monitor.Await("fruit=apple");
            Assert.Equal(0, monitor.AwaitExit());
        }

        Directory.Delete(folder, recursive: true);
    }

    private static int MemTotalMib(string console)
    {
        string line = console[console.IndexOf("MemTotal:", StringComparison.Ordinal)..].Split('\n')[0];
        return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) / 1024;
    }
}
