using System.Security.Cryptography;

namespace Hearth.Lab.Tests;

/// <summary>virtio-fs by Debian's virtiofsd: one folder, two sides.</summary>
public class FilesystemTests
{
    private const string Quiet = "console=ttyS0 reboot=k panic=1 quiet";
    private const int Files = 20;
    private const int FileBytes = 200_000;

    [Fact]
    public void Host_and_guest_write_at_the_same_time_and_read_what_the_other_wrote()
    {
        using var monitor = new MonitorProcess();
        string shared = Directory.CreateDirectory(Path.Combine(monitor.Folder, "shared")).FullName;
        File.WriteAllText(Path.Combine(shared, "live"), "one\n");
        using BackEndProcess backEnd = BackEndProcess.Virtiofsd(shared, Path.Combine(monitor.Folder, "fs.sock"));
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            $"""
            mount -t virtiofs data /mnt && echo MOUNTED
            cat /mnt/live
            echo WRITING
            for i in $(seq {Files}); do
              dd if=/dev/urandom of=/tmp.$i bs=1000 count={FileBytes / 1000} 2>/dev/null
              cp /tmp.$i /mnt/.guest-$i && mv /mnt/.guest-$i /mnt/guest-$i
              echo "guest-$i=$(sha256sum /tmp.$i | cut -d' ' -f1)"
            done
            for i in $(seq {Files}); do
              until [ -f /mnt/host-$i ]; do sleep 0.1; done
              echo "host-$i=$(sha256sum /mnt/host-$i | cut -d' ' -f1)"
            done
            until grep -q two /mnt/live; do sleep 0.1; done
            echo LIVE=$(cat /mnt/live)
            umount /mnt && echo UNMOUNTED
            cd /sys/bus/virtio/drivers/virtiofs
            for d in virtio*; do echo $d > unbind; echo $d > bind; done
            mount -t virtiofs data /mnt && echo AGAIN=$(cat /mnt/live)
            umount /mnt
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/filesystems/data", $$"""{"tag": "data", "socket": "{{backEnd.Socket}}"}""");
        monitor.Start();
        monitor.Await("MOUNTED\none\nWRITING");
        var sums = new Dictionary<string, string>();
        for (int i = 1; i <= Files; i++)
        {
            byte[] content = RandomNumberGenerator.GetBytes(FileBytes);
            string name = $"host-{i}";
            string hidden = Path.Combine(shared, "." + name);
            File.WriteAllBytes(hidden, content);
            File.Move(hidden, Path.Combine(shared, name));
            sums[name] = Convert.ToHexStringLower(SHA256.HashData(content));
        }

        monitor.Await($"host-{Files}=[0-9a-f]+\n");
        File.WriteAllText(Path.Combine(shared, "live"), "two\n");
        monitor.Await("LIVE=two\nUNMOUNTED\n");
        monitor.Await("AGAIN=two\n");
        Assert.Equal(0, monitor.AwaitExit());
        for (int i = 1; i <= Files; i++)
        {
            string name = $"guest-{i}";
            sums[name] = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(shared, name))));
        }

        string console = monitor.Console;
        Assert.All(sums, sum => Assert.Contains($"{sum.Key}={sum.Value}\n", console, StringComparison.Ordinal));
    }

    [Fact]
    public void A_stock_debian_has_its_root_and_its_folder_from_other_processes()
    {
        using var monitor = new MonitorProcess();
        string disk = Path.Combine(monitor.Folder, "rootfs.ext4");
        File.Copy(Lab.RootFilesystem, disk);
        string shared = Directory.CreateDirectory(Path.Combine(monitor.Folder, "shared")).FullName;
        File.WriteAllText(Path.Combine(shared, "file"), "content\n");
        using BackEndProcess drive = BackEndProcess.Drive(disk, Path.Combine(monitor.Folder, "drive.sock"), writable: false);
        using BackEndProcess folder = BackEndProcess.Virtiofsd(shared, Path.Combine(monitor.Folder, "fs.sock"));
        monitor.PutBootSource(Lab.StockKernel, Lab.StockInitrd, Quiet + " init=/bin/bash");
        monitor.PutMachine(1, 256);
        monitor.Put("/drives/rootfs", $$"""{"drive_id": "rootfs", "is_root_device": true, "socket": "{{drive.Socket}}"}""");
        monitor.Put("/filesystems/data", $$"""{"tag": "data", "socket": "{{folder.Socket}}"}""");
        monitor.Start();
        monitor.Await("# ");
        monitor.Type("mount -t proc proc /proc; mount -t virtiofs data /mnt; echo ROOT=$(findmnt -no SOURCE,OPTIONS /) FILE=$(cat /mnt/file)");
        monitor.Await("ROOT=/dev/vda ro,.* FILE=content\n");
        monitor.Type("exec /sbin/reboot -f");
        Assert.Equal(0, monitor.AwaitExit());
    }

    [Fact]
    public void A_killed_back_end_gives_the_guest_errors_and_the_monitor_lives()
    {
        using var monitor = new MonitorProcess();
        string shared = Directory.CreateDirectory(Path.Combine(monitor.Folder, "shared")).FullName;
        File.WriteAllText(Path.Combine(shared, "file"), "content\n");
        using BackEndProcess backEnd = BackEndProcess.Virtiofsd(shared, Path.Combine(monitor.Folder, "fs.sock"));
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            """
            mount -t virtiofs data /mnt && cat /mnt/file
            n=0
            while echo more > /mnt/new-$n; do n=$((n + 1)); done
            ls /mnt && echo LISTED || echo FAILED
            cat /mnt/other || echo FAILED
            read -r go
            """);
        monitor.PutBootSource(Lab.BuiltKernel, initrd, Quiet);
        monitor.Put("/filesystems/data", $$"""{"tag": "data", "socket": "{{backEnd.Socket}}"}""");
        monitor.Start();
        monitor.Await("content\n");
        monitor.WaitUntil(() => File.Exists(Path.Combine(shared, "new-20")), "the guest's files");
        backEnd.Kill();
        monitor.Await("Input/output error|I/O error");
        monitor.Await("FAILED");
        monitor.Await("FAILED");
        Assert.Contains("\"Running\"", monitor.Request("GET", "/").Body, StringComparison.Ordinal);
        Assert.Contains("has gone. The guest's requests to Fs data fail", monitor.Console, StringComparison.Ordinal);
        monitor.Type("go");
        Assert.Equal(0, monitor.AwaitExit());
    }
}
