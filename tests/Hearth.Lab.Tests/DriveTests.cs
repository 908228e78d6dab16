using System.Security.Cryptography;

namespace Hearth.Lab.Tests;

/// <summary>virtio-blk with a real driver: what the guest writes is what the host finds.</summary>
public class DriveTests
{
    private const string Quiet = "console=ttyS0 reboot=k panic=1 quiet";
    private const int SizeMib = 16;

    [Fact]
    public void Two_drives_take_what_the_guest_writes()
    {
        using var monitor = new MonitorProcess();
        string first = Blank(monitor.Folder, "first");
        string second = Blank(monitor.Folder, "second");
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            $"""
            for d in vda vdb; do
              dd if=/dev/urandom of=/dev/$d bs=64k count={SizeMib * 16} 2>/dev/null
            done
            sync
            echo 3 > /proc/sys/vm/drop_caches
            for d in vda vdb; do echo "$d=$(sha256sum /dev/$d | cut -d' ' -f1)"; done
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/drives/first", $$"""{"drive_id": "first", "path_on_host": "{{first}}", "is_root_device": false, "cache_type": "Writeback"}""");
        monitor.Put("/drives/second", $$"""{"drive_id": "second", "path_on_host": "{{second}}", "is_root_device": false}""");
        monitor.Start();
        monitor.Await("GUEST-DONE");
        Assert.Equal(0, monitor.AwaitExit());
        string console = monitor.Console;
        Assert.Contains($"vda={Sum(first)}", console, StringComparison.Ordinal);
        Assert.Contains($"vdb={Sum(second)}", console, StringComparison.Ordinal);
        Assert.NotEqual(Sum(first), Sum(second));
    }

    [Fact]
    public void A_read_only_drive_refuses_writes_and_stays_as_it_was()
    {
        using var monitor = new MonitorProcess();
        string disk = Blank(monitor.Folder, "disk");
        string before = Sum(disk);
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            "echo RO=$(cat /sys/block/vda/ro); dd if=/dev/urandom of=/dev/vda bs=4k count=1 2>/dev/null && echo WROTE || echo REFUSED");
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/drives/disk", $$"""{"drive_id": "disk", "path_on_host": "{{disk}}", "is_root_device": false, "is_read_only": true}""");
        monitor.Start();
        monitor.Await("RO=1");
        monitor.Await("REFUSED");
        Assert.Equal(0, monitor.AwaitExit());
        Assert.Equal(before, Sum(disk));
    }

    [Fact]
    public void An_empty_drive_becomes_one_with_content_and_grows_and_is_slowed_down_at_will()
    {
        using var monitor = new MonitorProcess();
        string empty = Path.Combine(monitor.Folder, "empty");
        File.WriteAllBytes(empty, []);
        string small = Blank(monitor.Folder, "small");
        byte[] content = RandomNumberGenerator.GetBytes(1 << 20);
        using (FileStream file = File.OpenWrite(small))
        {
            file.Write(content);
        }

        string large = Path.Combine(monitor.Folder, "large");
        using (FileStream file = File.Create(large))
        {
            file.SetLength(2 * SizeMib << 20);
        }

        // Three MiB past the page cache, by the guest's own clock, in hundredths of a second.
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            """
            size() { cat /sys/block/vda/size; }
            echo SECTORS=$(size)
            until [ $(size) = 32768 ]; do sleep 0.1; done
            echo SUM=$(head -c 1048576 /dev/vda | sha256sum | cut -d' ' -f1)
            until [ $(size) = 65536 ]; do sleep 0.1; done
            echo SECTORS=$(size)
            read line
            begin=$(now); dd if=/dev/vda of=/dev/null bs=256k count=12 iflag=direct 2>/dev/null; echo TOOK=$(($(now) - begin))
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/drives/later", $$"""{"drive_id": "later", "path_on_host": "{{empty}}", "is_root_device": false}""");
        monitor.Start();
        monitor.Await("SECTORS=0\n");
        monitor.Patch("/drives/later", $$"""{"drive_id": "later", "path_on_host": "{{small}}"}""");
        monitor.Await($"SUM={Convert.ToHexStringLower(SHA256.HashData(content))}");
        monitor.Patch("/drives/later", $$"""{"drive_id": "later", "path_on_host": "{{large}}"}""");
        monitor.Await("SECTORS=65536\n");
        (int status, string body) = monitor.Request("PUT", "/drives/new", $$"""{"drive_id": "new", "path_on_host": "{{large}}", "is_root_device": false}""");
        Assert.Equal(400, status);
        Assert.Contains("not supported after starting the microVM", body, StringComparison.Ordinal);
        monitor.Patch("/drives/later", """{"drive_id": "later", "rate_limiter": {"bandwidth": {"size": 1048576, "refill_time": 1000}}}""");
        monitor.Type(string.Empty);
        // A bucket of one MiB a second that begins full: the other two cannot come sooner.
        Assert.InRange(int.Parse(monitor.Await(@"TOOK=(\d+)"), System.Globalization.CultureInfo.InvariantCulture), 190, int.MaxValue);
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_drive_that_another_process_serves_takes_what_the_guest_writes_and_fails_with_it()
    {
        using var monitor = new MonitorProcess();
        string disk = Blank(monitor.Folder, "disk");
        using BackEndProcess backEnd = BackEndProcess.Drive(disk, Path.Combine(monitor.Folder, "drive.sock"), writable: true);
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            $"""
            echo SECTORS=$(cat /sys/block/vda/size)
            dd if=/dev/urandom of=/dev/vda bs=64k count={SizeMib * 16} 2>/dev/null
            sync
            echo 3 > /proc/sys/vm/drop_caches
            echo "vda=$(sha256sum /dev/vda | cut -d' ' -f1)"
            while dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null; do echo 3 > /proc/sys/vm/drop_caches; done
            echo READING-FAILED
            dd if=/dev/urandom of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null || echo WRITING-FAILED
            read -r go
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/drives/remote", $$"""{"drive_id": "remote", "is_root_device": false, "cache_type": "Writeback", "socket": "{{backEnd.Socket}}"}""");
        monitor.Start();
        monitor.Await("SECTORS=32768\n");
        monitor.Await("vda=[0-9a-f]{64}\n");
        Assert.Contains($"vda={Sum(disk)}", monitor.Console, StringComparison.Ordinal);
        monitor.Patch("/drives/remote", """{"drive_id": "remote"}""");
        backEnd.Kill();
        monitor.Await("READING-FAILED");
        monitor.Await("WRITING-FAILED");
        Assert.Contains("\"Running\"", monitor.Request("GET", "/").Body, StringComparison.Ordinal);
        monitor.Type("go");
        Assert.Equal(0, monitor.AwaitExit());
    }

    private static string Blank(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        using FileStream file = File.Create(path);
        file.SetLength(SizeMib << 20);
        return path;
    }

    private static string Sum(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
