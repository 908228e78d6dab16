using Hearth.Firecracker.Models;

namespace Hearth.Firecracker.Tests;

/// <summary>A real monitor, asked everything that can be asked before a guest starts.</summary>
public sealed class MachineTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-sdk-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_monitor_keeps_what_it_was_given()
    {
        File.WriteAllBytes(Path.Combine(_folder, "kernel"), [1]);
        File.WriteAllBytes(Path.Combine(_folder, "disk"), new byte[512]);
        MachineOptions options = Options() with
        {
            MachineConfig = new MachineConfiguration { VcpuCount = 2, MemSizeMib = 64 },
            Drives = [new Drive { DriveId = "disk", IsRootDevice = true, PathOnHost = Path.Combine(_folder, "disk"), IsReadOnly = true, CacheType = CacheType.Writeback }],
            Vsock = new Vsock { GuestCid = 3, UdsPath = Path.Combine(_folder, "v.sock") },
            Entropy = new EntropyDevice(),
        };
        await using FirecrackerMachine machine = await FirecrackerMachine.StartAsync(options, MachineSetup.Default.Remove("start"));
        InstanceInfo info = await machine.Client.GetInstanceInfoAsync();
        Assert.Equal((InstanceState.NotStarted, "sdk"), (info.State, info.Id));
        FullVmConfiguration config = await machine.Client.GetVmConfigAsync();
        Assert.Equal((2, 64L), (config.MachineConfig!.VcpuCount, config.MachineConfig.MemSizeMib));
        Assert.Equal(("disk", CacheType.Writeback), (config.Drives!.Single().DriveId, config.Drives!.Single().CacheType));
        Assert.Equal(options.Vsock, config.Vsock! with { VsockId = null });

        await machine.Client.PatchMachineConfigAsync(new PartialMachineConfiguration { MemSizeMib = 128 });
        Assert.Equal(128, (await machine.Client.GetMachineConfigAsync()).MemSizeMib);
        await machine.Client.PutNetworkInterfaceAsync(new NetworkInterface { IfaceId = "eth0", HostDevName = "none" });
        await machine.Client.PutMmdsConfigAsync(new MmdsConfig { NetworkInterfaces = ["eth0"], Version = MmdsVersion.V2, Ipv4Address = "169.254.1.1" });
        await machine.Client.PutMmdsAsync("""{"a": {"b": 1}}"""u8.ToArray());
        await machine.Client.PatchMmdsAsync("""{"a": {"c": 2}}"""u8.ToArray());
        Assert.Equal("""{"a":{"b":1,"c":2}}"""u8.ToArray(), await machine.Client.GetMmdsAsync());
    }

    [Fact]
    public async Task A_refused_step_is_named_and_nothing_is_left()
    {
        MachineOptions options = Options() with { MachineConfig = new MachineConfiguration { VcpuCount = 33, MemSizeMib = 64 } };
        FirecrackerException refused = await Assert.ThrowsAsync<FirecrackerException>(() => FirecrackerMachine.StartAsync(options));
        Assert.Equal(400, refused.Status);
        Assert.StartsWith("Step \"machine-config\" of the machine's set-up failed: PUT /machine-config: ", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(options.SocketPath));
    }

    [Fact]
    public async Task A_monitor_that_ends_at_once_is_seen_at_once()
    {
        FirecrackerException failure = await Assert.ThrowsAsync<FirecrackerException>(
            () => FirecrackerMachine.StartAsync(Options() with { Arguments = ["--no-such-option"] }));
        Assert.Contains("ended with status 153", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<FirecrackerException>(() => FirecrackerMachine.StartAsync(Options() with { Monitor = "/no/such/monitor" }));
    }

    [Fact]
    public async Task Steps_can_be_put_in_replaced_and_left_out()
    {
        var ran = new List<string>();
        SetupStep Step(string name) => new(name, (_, _) =>
        {
            ran.Add(name);
            return Task.CompletedTask;
        });
        MachineSetup setup = MachineSetup.Default
            .Replace("start", Step("instead"))
            .InsertBefore("instead", Step("before"))
            .InsertAfter("instead", Step("after"))
            .Append(Step("last"))
            .Remove("boot-source");
        await using FirecrackerMachine machine = await FirecrackerMachine.StartAsync(Options(), setup);
        Assert.Equal(["before", "instead", "after", "last"], ran);
        Assert.Throws<ArgumentException>(() => setup.Remove("boot-source"));
        // There is no guest to hear Ctrl-Alt-Del.
        Assert.Equal(137, await machine.StopAsync(TimeSpan.FromMinutes(1)));
    }

    private MachineOptions Options()
    {
        string kernel = Path.Combine(_folder, "kernel");
        File.WriteAllBytes(kernel, [1]);
        return new MachineOptions
        {
            Monitor = Monitor(),
            SocketPath = Path.Combine(_folder, "api.sock"),
            Arguments = ["--id", "sdk"],
            StartTimeout = TimeSpan.FromMinutes(2),
            BootSource = new BootSource { KernelImagePath = kernel },
        };
    }

    private static string Monitor()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("These tests run from the checkout they were built in.");
        }

        string program = Path.Combine(folder, "out", "bin", "hearth-vmm");
        Assert.True(File.Exists(program), "out/bin/hearth-vmm is missing: run ./build hearth-vmm");
        return program;
    }
}
