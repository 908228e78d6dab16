namespace Hearth.Programs.Daemon;

/// <summary>Leaves signals to <see cref="Daemon"/>: it has several servers, and an order to stop them in.</summary>
internal sealed class OwnLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
