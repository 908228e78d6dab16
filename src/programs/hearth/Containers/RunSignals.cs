using System.Runtime.InteropServices;
using Grpc.Core;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>Signals of a foreground run: until the container has started they end the attempt, from then on they are the container's.</summary>
internal sealed class RunSignals : IDisposable
{
    private static readonly (PosixSignal Signal, uint Number)[] s_forwarded =
        [(PosixSignal.SIGHUP, 1), (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGTERM, 15)];

    private readonly List<PosixSignalRegistration> _registrations;
    private readonly CancellationTokenSource _attempt = new();
    private volatile Func<uint, Task>? _container;

    public RunSignals() => _registrations =
    [
        .. s_forwarded.Select(one => PosixSignalRegistration.Create(one.Signal, context =>
        {
            context.Cancel = true;
            if (_container is { } container)
            {
                _ = container(one.Number);
            }
            else
            {
                _attempt.Cancel();
            }
        })),
    ];

    /// <summary>Of the attempt.</summary>
    public CancellationToken Token => _attempt.Token;

    /// <summary>The container has started.</summary>
    public void ForwardTo(DaemonClient daemon, string containerId) => _container = signal => SendAsync(daemon, containerId, signal);

    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _attempt.Dispose();
    }

    private static async Task SendAsync(DaemonClient daemon, string containerId, uint signal)
    {
        try
        {
            await LifeCommands.SignalAsync(daemon, containerId, signal, CancellationToken.None);
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.FailedPrecondition or StatusCode.NotFound)
        {
            // It has ended, which is what most signals are for.
        }
        catch (RpcException e)
        {
            Console.Error.WriteLine($"hearth: the signal was not passed on: {DaemonClient.Explain(e)}");
        }
    }
}
