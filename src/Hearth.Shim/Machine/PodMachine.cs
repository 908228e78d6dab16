using Hearth.Firecracker;
using Hearth.Linux;
using Hearth.Ttrpc;

namespace Hearth.Shim.Machine;

/// <summary>Starts a pod's machine.</summary>
public static class PodMachine
{
    private const int ConsoleLines = 40;

    /// <summary>Boots it, and returns when the agent has answered and the network is set up.</summary>
    /// <exception cref="HearthException">It does not come up: what failed, and the end of the guest's console.</exception>
    public static async Task<IPodMachine> StartAsync(PodMachineOptions options, CancellationToken cancellation)
    {
        // What an earlier shim of the pod left, whether or not somebody is at it.
        await CleanUpAsync(options.Folder).ConfigureAwait(false);

        using IDisposable turn = await BootTurns.TakeAsync(options.Config.Daemon.State, cancellation: cancellation).ConfigureAwait(false);
        int seconds = options.Config.Microvm.BootTimeoutS;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(seconds));
        var boot = new MachineBoot(options);
        try
        {
            return await boot.RunAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            string reason = e is OperationCanceledException
                ? $"it did not answer within {seconds} s (boot_timeout_s of [microvm] in hearth.toml)."
                : await boot.MonitorEndAsync(e).ConfigureAwait(false) ?? e.Message;
            reason = boot.Translate(reason) + Advice(e, reason, options);
            string console = boot.Translate(boot.Console(ConsoleLines));
            await boot.DisposeAsync().ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            if (e is OperationCanceledException or HearthException or FirecrackerException or TtrpcException or IOException or UnauthorizedAccessException or System.Net.Sockets.SocketException)
            {
                throw new HearthException($"The machine of pod \"{options.PodId}\" does not come up: {reason}{console}", e);
            }

            throw;
        }
    }

    // What the reason does not say: where to look, or what to change.
    private static string Advice(Exception e, string reason, PodMachineOptions options) =>
        e is OperationCanceledException || reason == MonitorEnd.ByItsGuest
            ? $" Its kernel is {options.Config.Microvm.Kernel}, and its agent, which has to answer, is in {options.Config.Microvm.Initrd} (kernel and initrd of [microvm]): hearth initrd build makes one."
            : DurableFile.IsFull(e)
                ? $" Make room on the disk of {options.Folder}, or have another one (state of [daemon] in hearth.toml)."
                : "";

    /// <summary>
    /// Ends what is left of a pod whose shim died: by its folder alone. Doing it twice is no error, nor two at a time. A shim that is at
    /// its own end is waited for, unless it does not get through.
    /// </summary>
    /// <param name="folder">The pod's.</param>
    /// <param name="inUse">Whether a new shim of the same pod has the folder by now.</param>
    /// <param name="patience">How long whoever has the folder is waited for; null for <see cref="PodFolder.Patience"/>.</param>
    /// <exception cref="HearthException">A process cannot be ended.</exception>
    public static async Task CleanUpAsync(string folder, Func<bool>? inUse = null, TimeSpan? patience = null)
    {
        using FileDescriptor? turn = await PodFolder.TryTakeAsync(folder, patience ?? PodFolder.Patience).ConfigureAwait(false);
        if (!Directory.Exists(folder) || inUse?.Invoke() == true)
        {
            return;
        }

        string path = Path.GetFullPath(folder);
        MachineRecord record = MachineRecord.TryRead(PodFolder.RecordIn(path)) ?? new MachineRecord();
        await MachineRemains.EndAsync(path, record).ConfigureAwait(false);
        await MachineRemains.RemoveAsync(path, record).ConfigureAwait(false);
    }
}
