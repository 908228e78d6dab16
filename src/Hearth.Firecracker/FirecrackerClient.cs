using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hearth.Firecracker.Http;
using Hearth.Firecracker.Models;

namespace Hearth.Firecracker;

/// <summary>
/// The REST API of one monitor, each method a request of it. Paths in bodies are the monitor's own view, which a jailer
/// changes. Refusals, and a monitor that is gone, are <see cref="FirecrackerException"/>. There is no time limit but the
/// caller's cancellation; after it, whether the monitor acted is not known. Thread: any; requests go one after the other.
/// Source: Firecracker's API, version 1.17.
/// </summary>
public sealed class FirecrackerClient : IDisposable
{
    private static readonly TimeSpan s_shortPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longPause = TimeSpan.FromMilliseconds(50);

    private readonly ApiConnection _connection;

    // Guards _connection: the API answers in order.
    private readonly SemaphoreSlim _one = new(1, 1);

    /// <param name="socketPath">The API's Unix socket: 107 bytes at most, which unix(7) sets.</param>
    public FirecrackerClient(string socketPath)
    {
        SocketPath = socketPath;
        _connection = new ApiConnection(socketPath);
    }

    public string SocketPath { get; }

    public Task<InstanceInfo> GetInstanceInfoAsync(CancellationToken cancellation = default) => GetAsync("/", FirecrackerJson.Default.InstanceInfo, cancellation);

    public async Task<string> GetVersionAsync(CancellationToken cancellation = default) =>
        (await GetAsync("/version", FirecrackerJson.Default.FirecrackerVersion, cancellation).ConfigureAwait(false)).Version;

    /// <summary>Waits for the API of a monitor that has just been started, and asks its version.</summary>
    /// <param name="hasEnded">Whether the monitor's process is over: then nothing is waited for any more.</param>
    /// <param name="cancellation">Gives it up.</param>
    /// <exception cref="FirecrackerException">The monitor has ended, or its API refuses.</exception>
    public async Task<string> WaitForVersionAsync(Func<bool> hasEnded, CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            // Asked first: what it has done before its end is then seen below.
            bool ended = hasEnded();
            try
            {
                if (ended || File.Exists(SocketPath))
                {
                    return await GetVersionAsync(cancellation).ConfigureAwait(false);
                }
            }
            catch (FirecrackerException e) when (e.Status is null && !ended)
            {
                // Between bind and listen.
            }

            // In proportion: short pauses would take from a slow host the time in which the monitor starts.
            TimeSpan pause = Stopwatch.GetElapsedTime(start) / 8;
            await Task.Delay(pause < s_shortPause ? s_shortPause : pause > s_longPause ? s_longPause : pause, cancellation).ConfigureAwait(false);
        }
    }

    public Task<FullVmConfiguration> GetVmConfigAsync(CancellationToken cancellation = default) =>
        GetAsync("/vm/config", FirecrackerJson.Default.FullVmConfiguration, cancellation);

    /// <summary>Boots the guest.</summary>
    public Task StartInstanceAsync(CancellationToken cancellation = default) => ActAsync(InstanceActionType.InstanceStart, cancellation);

    /// <summary>Types Ctrl-Alt-Del, by which most guests shut down.</summary>
    public Task SendCtrlAltDelAsync(CancellationToken cancellation = default) => ActAsync(InstanceActionType.SendCtrlAltDel, cancellation);

    public Task FlushMetricsAsync(CancellationToken cancellation = default) => ActAsync(InstanceActionType.FlushMetrics, cancellation);

    public Task ActAsync(InstanceActionType action, CancellationToken cancellation = default) =>
        PutAsync("/actions", new InstanceActionInfo { ActionType = action }, FirecrackerJson.Default.InstanceActionInfo, cancellation);

    /// <summary>Stops the vCPUs.</summary>
    public Task PauseAsync(CancellationToken cancellation = default) => PatchVmAsync(VmState.Paused, cancellation);

    public Task ResumeAsync(CancellationToken cancellation = default) => PatchVmAsync(VmState.Resumed, cancellation);

    public Task<MachineConfiguration> GetMachineConfigAsync(CancellationToken cancellation = default) =>
        GetAsync("/machine-config", FirecrackerJson.Default.MachineConfiguration, cancellation);

    public Task PutMachineConfigAsync(MachineConfiguration body, CancellationToken cancellation = default) =>
        PutAsync("/machine-config", body, FirecrackerJson.Default.MachineConfiguration, cancellation);

    public Task PatchMachineConfigAsync(PartialMachineConfiguration body, CancellationToken cancellation = default) =>
        PatchAsync("/machine-config", body, FirecrackerJson.Default.PartialMachineConfiguration, cancellation);

    public Task PutBootSourceAsync(BootSource body, CancellationToken cancellation = default) =>
        PutAsync("/boot-source", body, FirecrackerJson.Default.BootSource, cancellation);

    public Task PutCpuConfigAsync(CpuConfig body, CancellationToken cancellation = default) =>
        PutAsync("/cpu-config", body, FirecrackerJson.Default.CpuConfig, cancellation);

    public Task PutDriveAsync(Drive body, CancellationToken cancellation = default) =>
        PutAsync($"/drives/{Escape(body.DriveId)}", body, FirecrackerJson.Default.Drive, cancellation);

    public Task PatchDriveAsync(PartialDrive body, CancellationToken cancellation = default) =>
        PatchAsync($"/drives/{Escape(body.DriveId)}", body, FirecrackerJson.Default.PartialDrive, cancellation);

    public Task PutPmemAsync(Pmem body, CancellationToken cancellation = default) =>
        PutAsync($"/pmem/{Escape(body.Id)}", body, FirecrackerJson.Default.Pmem, cancellation);

    public Task PatchPmemAsync(PartialPmem body, CancellationToken cancellation = default) =>
        PatchAsync($"/pmem/{Escape(body.Id)}", body, FirecrackerJson.Default.PartialPmem, cancellation);

    /// <summary>A folder of the host. hearth-vmm only.</summary>
    public Task PutFilesystemAsync(Filesystem body, CancellationToken cancellation = default) =>
        PutAsync($"/filesystems/{Escape(body.Tag)}", body, FirecrackerJson.Default.Filesystem, cancellation);

    public Task PutNetworkInterfaceAsync(NetworkInterface body, CancellationToken cancellation = default) =>
        PutAsync($"/network-interfaces/{Escape(body.IfaceId)}", body, FirecrackerJson.Default.NetworkInterface, cancellation);

    public Task PatchNetworkInterfaceAsync(PartialNetworkInterface body, CancellationToken cancellation = default) =>
        PatchAsync($"/network-interfaces/{Escape(body.IfaceId)}", body, FirecrackerJson.Default.PartialNetworkInterface, cancellation);

    public Task PutVsockAsync(Vsock body, CancellationToken cancellation = default) =>
        PutAsync("/vsock", body, FirecrackerJson.Default.Vsock, cancellation);

    public Task PutEntropyAsync(EntropyDevice body, CancellationToken cancellation = default) =>
        PutAsync("/entropy", body, FirecrackerJson.Default.EntropyDevice, cancellation);

    public Task PutSerialAsync(SerialDevice body, CancellationToken cancellation = default) =>
        PutAsync("/serial", body, FirecrackerJson.Default.SerialDevice, cancellation);

    public Task PutLoggerAsync(Logger body, CancellationToken cancellation = default) =>
        PutAsync("/logger", body, FirecrackerJson.Default.Logger, cancellation);

    public Task PutMetricsAsync(Metrics body, CancellationToken cancellation = default) =>
        PutAsync("/metrics", body, FirecrackerJson.Default.Metrics, cancellation);

    public Task PutMmdsConfigAsync(MmdsConfig body, CancellationToken cancellation = default) =>
        PutAsync("/mmds/config", body, FirecrackerJson.Default.MmdsConfig, cancellation);

    /// <summary>Replaces the guest's metadata.</summary>
    /// <param name="json">A JSON object, in UTF-8.</param>
    /// <param name="cancellation">Gives it up.</param>
    public Task PutMmdsAsync(ReadOnlyMemory<byte> json, CancellationToken cancellation = default) => SendAsync("PUT", "/mmds", json, cancellation);

    /// <summary>Merges into the guest's metadata, as RFC 7396 says.</summary>
    public Task PatchMmdsAsync(ReadOnlyMemory<byte> json, CancellationToken cancellation = default) => SendAsync("PATCH", "/mmds", json, cancellation);

    /// <summary>The guest's metadata, as JSON in UTF-8.</summary>
    public async Task<byte[]> GetMmdsAsync(CancellationToken cancellation = default) =>
        (await SendAsync("GET", "/mmds", default, cancellation).ConfigureAwait(false)).Body;

    public Task<Balloon> GetBalloonAsync(CancellationToken cancellation = default) => GetAsync("/balloon", FirecrackerJson.Default.Balloon, cancellation);

    public Task PutBalloonAsync(Balloon body, CancellationToken cancellation = default) =>
        PutAsync("/balloon", body, FirecrackerJson.Default.Balloon, cancellation);

    public Task PatchBalloonAsync(BalloonUpdate body, CancellationToken cancellation = default) =>
        PatchAsync("/balloon", body, FirecrackerJson.Default.BalloonUpdate, cancellation);

    public Task<BalloonStats> GetBalloonStatsAsync(CancellationToken cancellation = default) =>
        GetAsync("/balloon/statistics", FirecrackerJson.Default.BalloonStats, cancellation);

    public Task PatchBalloonStatsAsync(BalloonStatsUpdate body, CancellationToken cancellation = default) =>
        PatchAsync("/balloon/statistics", body, FirecrackerJson.Default.BalloonStatsUpdate, cancellation);

    public Task StartBalloonHintingAsync(BalloonStartCmd body, CancellationToken cancellation = default) =>
        PatchAsync("/balloon/hinting/start", body, FirecrackerJson.Default.BalloonStartCmd, cancellation);

    public Task<BalloonHintingStatus> GetBalloonHintingAsync(CancellationToken cancellation = default) =>
        GetAsync("/balloon/hinting/status", FirecrackerJson.Default.BalloonHintingStatus, cancellation);

    public Task StopBalloonHintingAsync(CancellationToken cancellation = default) => SendAsync("PATCH", "/balloon/hinting/stop", default, cancellation);

    public Task<MemoryHotplugStatus> GetMemoryHotplugAsync(CancellationToken cancellation = default) =>
        GetAsync("/hotplug/memory", FirecrackerJson.Default.MemoryHotplugStatus, cancellation);

    public Task PutMemoryHotplugAsync(MemoryHotplugConfig body, CancellationToken cancellation = default) =>
        PutAsync("/hotplug/memory", body, FirecrackerJson.Default.MemoryHotplugConfig, cancellation);

    public Task PatchMemoryHotplugAsync(MemoryHotplugSizeUpdate body, CancellationToken cancellation = default) =>
        PatchAsync("/hotplug/memory", body, FirecrackerJson.Default.MemoryHotplugSizeUpdate, cancellation);

    public Task CreateSnapshotAsync(SnapshotCreateParams body, CancellationToken cancellation = default) =>
        PutAsync("/snapshot/create", body, FirecrackerJson.Default.SnapshotCreateParams, cancellation);

    public Task LoadSnapshotAsync(SnapshotLoadParams body, CancellationToken cancellation = default) =>
        PutAsync("/snapshot/load", body, FirecrackerJson.Default.SnapshotLoadParams, cancellation);

    public void Dispose() => _connection.Dispose();

    private static string Escape(string id) => Uri.EscapeDataString(id);

    private Task PatchVmAsync(VmState state, CancellationToken cancellation) =>
        PatchAsync("/vm", new Vm { State = state }, FirecrackerJson.Default.Vm, cancellation);

    private Task PutAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        SendAsync("PUT", path, JsonSerializer.SerializeToUtf8Bytes(body, type), cancellation);

    private Task PatchAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        SendAsync("PATCH", path, JsonSerializer.SerializeToUtf8Bytes(body, type), cancellation);

    private async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        ApiResponse response = await SendAsync("GET", path, default, cancellation).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(response.Body, type) ?? throw new JsonException("The answer is null.");
        }
        catch (JsonException e)
        {
            throw new FirecrackerException($"GET {path}: the answer is no {typeof(T).Name}: {e.Message}", response.Status, null, e);
        }
    }

    private async Task<ApiResponse> SendAsync(string method, string path, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        ApiResponse response;
        await _one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            response = await _connection.SendAsync(method, path, body, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or IOException or ArgumentOutOfRangeException)
        {
            // ArgumentOutOfRangeException: a path that is too long for a socket.
            throw new FirecrackerException($"{method} {path}: no answer from the monitor at {SocketPath}: {e.Message}", null, null, e);
        }
        finally
        {
            _one.Release();
        }

        return response.Status is >= 200 and < 300 ? response : throw Refused(method, path, response);
    }

    private static FirecrackerException Refused(string method, string path, ApiResponse response)
    {
        string? fault = null;
        try
        {
            fault = response.Body.Length == 0 ? null : JsonSerializer.Deserialize(response.Body, FirecrackerJson.Default.Error)?.FaultMessage;
        }
        catch (JsonException)
        {
            // Answers to what is no HTTP are no JSON either.
        }

        return new FirecrackerException($"{method} {path}: {fault ?? $"refused with HTTP status {response.Status}"}", response.Status, fault);
    }
}
