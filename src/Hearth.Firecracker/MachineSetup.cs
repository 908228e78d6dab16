namespace Hearth.Firecracker;

/// <summary>A step of a microVM's set-up.</summary>
/// <param name="Name">By which it is found.</param>
/// <param name="RunAsync">Does it; what it throws ends the set-up.</param>
public sealed record SetupStep(string Name, Func<FirecrackerMachine, CancellationToken, Task> RunAsync);

/// <summary>
/// What is asked of a monitor between its start and its guest's, step by step. Each method gives a changed copy, so that a
/// chain can be shared. Thread: any.
/// </summary>
public sealed class MachineSetup
{
    private readonly IReadOnlyList<SetupStep> _steps;

    private MachineSetup(IReadOnlyList<SetupStep> steps)
    {
        _steps = steps;
    }

    /// <summary>Everything that <see cref="MachineOptions"/> has, in an order that works.</summary>
    public static MachineSetup Default { get; } = new(
    [
        new("logger", static (m, c) => m.Options.Logger is { } logger ? m.Client.PutLoggerAsync(logger, c) : Task.CompletedTask),
        new("metrics", static (m, c) => m.Options.Metrics is { } metrics ? m.Client.PutMetricsAsync(metrics, c) : Task.CompletedTask),
        new("machine-config", static (m, c) => m.Client.PutMachineConfigAsync(m.Options.MachineConfig, c)),
        new("boot-source", static (m, c) => m.Client.PutBootSourceAsync(m.Options.BootSource, c)),
        new("drives", static (m, c) => EachAsync(m.Options.Drives, m.Client.PutDriveAsync, c)),
        new("network-interfaces", static (m, c) => EachAsync(m.Options.NetworkInterfaces, m.Client.PutNetworkInterfaceAsync, c)),
        new("filesystems", static (m, c) => EachAsync(m.Options.Filesystems, m.Client.PutFilesystemAsync, c)),
        new("vsock", static (m, c) => m.Options.Vsock is { } vsock ? m.Client.PutVsockAsync(vsock, c) : Task.CompletedTask),
        new("entropy", static (m, c) => m.Options.Entropy is { } entropy ? m.Client.PutEntropyAsync(entropy, c) : Task.CompletedTask),
        new("balloon", static (m, c) => m.Options.Balloon is { } balloon ? m.Client.PutBalloonAsync(balloon, c) : Task.CompletedTask),
        new("mmds-config", static (m, c) => m.Options.MmdsConfig is { } config ? m.Client.PutMmdsConfigAsync(config, c) : Task.CompletedTask),
        new("mmds", static (m, c) => m.Options.Mmds.IsEmpty ? Task.CompletedTask : m.Client.PutMmdsAsync(m.Options.Mmds, c)),
        new("start", static (m, c) => m.Client.StartInstanceAsync(c)),
    ]);

    public IReadOnlyList<SetupStep> Steps => _steps;

    /// <exception cref="ArgumentException">There is no step of that name.</exception>
    public MachineSetup InsertBefore(string name, SetupStep step) => Splice(IndexOf(name), 0, step);

    /// <exception cref="ArgumentException">There is no step of that name.</exception>
    public MachineSetup InsertAfter(string name, SetupStep step) => Splice(IndexOf(name) + 1, 0, step);

    /// <exception cref="ArgumentException">There is no step of that name.</exception>
    public MachineSetup Replace(string name, SetupStep step) => Splice(IndexOf(name), 1, step);

    /// <exception cref="ArgumentException">There is no step of that name.</exception>
    public MachineSetup Remove(string name) => Splice(IndexOf(name), 1);

    public MachineSetup Append(SetupStep step) => Splice(_steps.Count, 0, step);

    private static async Task EachAsync<T>(IReadOnlyList<T> bodies, Func<T, CancellationToken, Task> put, CancellationToken cancellation)
    {
        foreach (T body in bodies)
        {
            await put(body, cancellation).ConfigureAwait(false);
        }
    }

    private MachineSetup Splice(int index, int removed, params ReadOnlySpan<SetupStep> inserted) =>
        new([.. _steps.Take(index), .. inserted, .. _steps.Skip(index + removed)]);

    private int IndexOf(string name)
    {
        for (int i = 0; i < _steps.Count; i++)
        {
            if (_steps[i].Name == name)
            {
                return i;
            }
        }

        throw new ArgumentException($"There is no step \"{name}\": there are {string.Join(", ", _steps.Select(static step => step.Name))}.", nameof(name));
    }
}
