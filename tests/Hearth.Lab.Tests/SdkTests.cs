using System.Net.Sockets;
using Hearth.Firecracker;
using Hearth.Firecracker.Models;

namespace Hearth.Lab.Tests;

/// <summary>What the SDK's readme shows, with a real guest: both directions of vsock, pause, and a stop by Ctrl-Alt-Del.</summary>
public sealed class SdkTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(170);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-sdk-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_machine_boots_talks_pauses_and_stops()
    {
        string initrd = Lab.WriteInitrd(
            _folder,
            """
            socat VSOCK-LISTEN:1024,fork EXEC:/bin/cat &
            echo from the guest | socat - VSOCK-CONNECT:2:52
            while :; do sleep 1; done
            """,
            "/usr/bin/socat");
        var options = new MachineOptions
        {
            Monitor = Lab.Monitor,
            SocketPath = Path.Combine(_folder, "api.sock"),
            StartTimeout = s_deadline,
            BootSource = new BootSource { KernelImagePath = Lab.BuiltKernel, InitrdPath = initrd, BootArgs = "console=ttyS0 reboot=k panic=1 quiet" },
            MachineConfig = new MachineConfiguration { VcpuCount = 1, MemSizeMib = 256 },
            Vsock = new Vsock { GuestCid = 3, UdsPath = Path.Combine(_folder, "v.sock") },
        };
        using var limit = new CancellationTokenSource(s_deadline);
        VsockListener? listener = null;
        MachineSetup setup = MachineSetup.Default.InsertBefore("start", new SetupStep("listen", (m, _) =>
        {
            listener = m.Listen(52);
            return Task.CompletedTask;
        }));
        await using FirecrackerMachine machine = await FirecrackerMachine.StartAsync(options, setup, limit.Token);
        await using (NetworkStream guest = await listener!.AcceptAsync(limit.Token))
        using (var reader = new StreamReader(guest))
        {
            Assert.Equal("from the guest", await reader.ReadLineAsync(limit.Token));
        }

        listener.Dispose();
        await using NetworkStream echo = await VsockDialer.DialUntilAsync(options.Vsock.UdsPath, 1024, TimeSpan.FromMilliseconds(100), limit.Token);
        await machine.Client.PauseAsync(limit.Token);
        Assert.Equal(InstanceState.Paused, (await machine.Client.GetInstanceInfoAsync(limit.Token)).State);
        await machine.Client.ResumeAsync(limit.Token);
        await echo.WriteAsync("hello\n"u8.ToArray(), limit.Token);
        byte[] answer = new byte[6];
        await echo.ReadExactlyAsync(answer, limit.Token);
        Assert.Equal("hello\n"u8.ToArray(), answer);
        Assert.Equal(0, await machine.StopAsync(s_deadline, limit.Token));
    }
}
