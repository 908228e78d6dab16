using System.Diagnostics;

namespace Hearth.Lab.Tests;

/// <summary>A real vhost-user back end beside the monitor: Debian's virtiofsd, or QEMU's storage daemon.</summary>
internal sealed class BackEndProcess : IDisposable
{
    private readonly Process _process;

    private BackEndProcess(string program, string socket, params string[] arguments)
    {
        Socket = socket;
        _process = Process.Start(program, arguments);
        var clock = Stopwatch.StartNew();
        while (!File.Exists(socket))
        {
            Assert.False(_process.HasExited, $"{program} ended before it made {socket}");
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"{program} did not make {socket} within 60 s");
            Thread.Sleep(20);
        }
    }

    public string Socket { get; }

    /// <summary>Serves <paramref name="folder"/> as a file system.</summary>
    public static BackEndProcess Virtiofsd(string folder, string socket) =>
        new("/usr/lib/qemu/virtiofsd", socket, $"--socket-path={socket}", "-o", $"source={folder}", "-o", "sandbox=chroot", "-o", "log_level=err", "-f");

    /// <summary>Serves the file <paramref name="disk"/> as a drive.</summary>
    public static BackEndProcess Drive(string disk, string socket, bool writable) => new(
        "qemu-storage-daemon",
        socket,
        "--blockdev",
        $"driver=file,node-name=disk,filename={disk},read-only={(writable ? "off" : "on")}",
        "--export",
        $"type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={socket},writable={(writable ? "on" : "off")}");

    public void Kill()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
        File.Delete(Socket);
    }
}
