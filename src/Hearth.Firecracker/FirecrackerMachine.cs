using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace Hearth.Firecracker;

/// <summary>
/// A monitor's process and its microVM. Disposing it ends the process and removes the sockets it made. Thread: any.
/// </summary>
public sealed class FirecrackerMachine : IAsyncDisposable
{
    private readonly Process _process;

    private FirecrackerMachine(MachineOptions options, Process process, string socketPath)
    {
        Options = options;
        _process = process;
        Client = new FirecrackerClient(socketPath);
    }

    public MachineOptions Options { get; }

    public FirecrackerClient Client { get; }

    /// <summary>The process that was started: the monitor's, or its jailer's, which becomes it.</summary>
    public int ProcessId => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts the monitor, waits for its API, and goes through the set-up; with the default one the guest runs.</summary>
    /// <param name="options">The machine.</param>
    /// <param name="setup">Null for <see cref="MachineSetup.Default"/>.</param>
    /// <param name="cancellation">Gives it up; nothing is left running.</param>
    /// <exception cref="FirecrackerException">The monitor does not start, or refuses a step; the message says which.</exception>
    public static async Task<FirecrackerMachine> StartAsync(MachineOptions options, MachineSetup? setup = null, CancellationToken cancellation = default)
    {
        FirecrackerMachine machine = Launch(options);
        try
        {
            await machine.WaitForApiAsync(cancellation).ConfigureAwait(false);
            foreach (SetupStep step in (setup ?? MachineSetup.Default).Steps)
            {
                await machine.RunAsync(step, cancellation).ConfigureAwait(false);
            }

            return machine;
        }
        catch
        {
            await machine.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Waits for the monitor's end.</summary>
    /// <returns>Its exit status.</returns>
    public async Task<int> WaitAsync(CancellationToken cancellation = default)
    {
        await _process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        return _process.ExitCode;
    }

    /// <summary>Asks the guest to shut down by Ctrl-Alt-Del, and ends the monitor if it has not within <paramref name="patience"/>.</summary>
    /// <returns>The monitor's exit status.</returns>
    public async Task<int> StopAsync(TimeSpan patience, CancellationToken cancellation = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        try
        {
            await Client.SendCtrlAltDelAsync(limit.Token).ConfigureAwait(false);
            return await WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FirecrackerException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            Kill();
            return await WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Connects to a vsock port of the guest, whose machine has <see cref="MachineOptions.Vsock"/>.</summary>
    /// <exception cref="IOException">Nobody in the guest listens there.</exception>
    public Task<NetworkStream> DialAsync(uint port, CancellationToken cancellation = default) => VsockDialer.DialAsync(VsockPath(), port, cancellation);

    /// <summary>Takes connections of the guest to a vsock port of the host.</summary>
    public VsockListener Listen(uint port) => VsockListener.Listen(VsockPath(), port);

    public async ValueTask DisposeAsync()
    {
        Kill();
        await _process.WaitForExitAsync().ConfigureAwait(false);
        _process.Dispose();
        Client.Dispose();
        File.Delete(Client.SocketPath);
        if (Options.Vsock is not null)
        {
            File.Delete(VsockPath());
        }
    }

    private static FirecrackerMachine Launch(MachineOptions options)
    {
        string program = options.Monitor;
        string socket = options.SocketPath;
        List<string> arguments = ["--api-sock", socket, .. options.Arguments];
        if (options.Jailer is { } jailer)
        {
            const string inside = "run/firecracker.socket";
            program = jailer.Jailer;
            socket = Path.Combine(jailer.Root, inside);
            string[] netns = jailer.NetworkNamespace is { } path ? ["--netns", path] : [];
            arguments =
            [
                "--id", jailer.Id, "--exec-file", jailer.ExecFile, "--chroot-base-dir", jailer.ChrootBaseDir,
                "--uid", jailer.Uid.ToString(CultureInfo.InvariantCulture), "--gid", jailer.Gid.ToString(CultureInfo.InvariantCulture),
                .. netns, .. jailer.Arguments, "--", "--api-sock", "/" + inside, .. options.Arguments,
            ];
        }

        try
        {
            return new FirecrackerMachine(options, Process.Start(program, arguments), socket);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new FirecrackerException($"{program} cannot be started: {e.Message}", null, null, e);
        }
    }

    private async Task WaitForApiAsync(CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Options.StartTimeout);
        try
        {
            await Client.WaitForVersionAsync(() => HasExited, limit.Token).ConfigureAwait(false);
        }
        catch (FirecrackerException e) when (e.Status is null && HasExited)
        {
            throw new FirecrackerException($"{Options.Monitor} ended with status {_process.ExitCode} before its API was there; it says why on its standard error.", null, null, e);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new FirecrackerException($"{Options.Monitor} has no API at {Client.SocketPath} after {Options.StartTimeout.TotalSeconds} s.", null, null, e);
        }
    }

    private async Task RunAsync(SetupStep step, CancellationToken cancellation)
    {
        try
        {
            await step.RunAsync(this, cancellation).ConfigureAwait(false);
        }
        catch (FirecrackerException e)
        {
            throw new FirecrackerException($"Step \"{step.Name}\" of the machine's set-up failed: {e.Message}", e.Status, e.FaultMessage, e);
        }
    }

    private string VsockPath()
    {
        string path = Options.Vsock?.UdsPath ?? throw new InvalidOperationException("The machine has no vsock device: set MachineOptions.Vsock.");
        return Options.Jailer is { } jailer ? Path.Combine(jailer.Root, path.TrimStart('/')) : path;
    }

    private void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }
    }
}
