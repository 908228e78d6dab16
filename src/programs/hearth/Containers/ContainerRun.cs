using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Images;
using Hearth.Programs.Hearth.Logs;
using Hearth.Programs.Hearth.Streaming;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>
/// A container from its image to its end. With a terminal, the person is attached to it from before its start. Without one, its
/// output is read from its log, which loses nothing however slow the reader is, and only its input is attached.
/// </summary>
internal sealed class ContainerRun
{
    private readonly DaemonClient _daemon;
    private readonly RunOptions _options;
    private readonly RunSignals _signals;
    private readonly string _uid = Guid.NewGuid().ToString();
    private string _podId = "";
    private string _containerId = "";

    private ContainerRun(DaemonClient daemon, RunOptions options, RunSignals signals)
    {
        _daemon = daemon;
        _options = options;
        _signals = signals;
    }

    private string Logs => ContainerRemoval.LogsOf(_daemon, _uid);

    private string LogPath => Path.Combine(Logs, $"{_options.Name}.log");

    /// <returns>The container's exit status; 0 for one that goes on without this process.</returns>
    public static async Task<int> RunAsync(DaemonClient daemon, RunOptions options, RunSignals signals)
    {
        await ImagePull.EnsureAsync(daemon, options.Image, options.Pull, signals.Token);
        return await new ContainerRun(daemon, options, signals).RunAsync(signals.Token);
    }

    private async Task<int> RunAsync(CancellationToken cancellation)
    {
        await RefuseTakenNameAsync(cancellation);
        bool keep = false;
        try
        {
            await CreateAsync(cancellation);
            if (_options.Detach)
            {
                await StartAsync(cancellation);
                keep = true;
                Console.WriteLine(_containerId);
                return 0;
            }

            int status = _options.Tty ? await WithTerminalAsync(cancellation) : await WithLogAsync(cancellation);
            keep = !_options.Remove || status < 0;
            return Math.Max(status, 0);
        }
        catch (CommandLineException e) when (e.ExitStatus is ExitStatus.NotFound or ExitStatus.CannotRun)
        {
            // docker leaves such a container, and so does this, unless it was to be removed.
            keep = !_options.Remove;
            throw;
        }
        finally
        {
            if (!keep)
            {
                await RemoveAsync();
            }
        }
    }

    private async Task RefuseTakenNameAsync(CancellationToken cancellation)
    {
        var own = new PodSandboxFilter();
        own.LabelSelector.Add(RunRequests.OwnPodLabel, "true");
        ListPodSandboxResponse pods = await _daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest { Filter = own }, cancellationToken: cancellation);
        if (pods.Items.Any(pod => pod.Metadata?.Name == _options.Name))
        {
            throw new CommandLineException($"There is a container \"{_options.Name}\" already. Remove it (hearth rm -f {_options.Name}), or take another --name.", CommandLineException.RuntimeFailed);
        }
    }

    private async Task CreateAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(Logs);
        PodSandboxConfig pod = RunRequests.Pod(_options, _uid, Logs);
        ContainerConfig container = RunRequests.Container(_options);
        RunPodSandboxResponse made = await _daemon.Runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = pod, RuntimeHandler = _options.Handler }, cancellationToken: cancellation);
        _podId = made.PodSandboxId;
        CreateContainerResponse created = await _daemon.Runtime.CreateContainerAsync(
            new CreateContainerRequest { PodSandboxId = _podId, Config = container, SandboxConfig = pod }, cancellationToken: cancellation);
        _containerId = created.ContainerId;
    }

    private async Task StartAsync(CancellationToken cancellation)
    {
        try
        {
            await _daemon.Runtime.StartContainerAsync(new StartContainerRequest { ContainerId = _containerId }, cancellationToken: cancellation);
        }
        catch (RpcException e) when (e.StatusCode != StatusCode.Cancelled)
        {
            throw ExitStatus.OfStart(e, _daemon.Settings.Socket);
        }

        if (!_options.Detach)
        {
            _signals.ForwardTo(_daemon, _containerId);
        }
    }

    /// <returns>Below zero for a container that was left running.</returns>
    private async Task<int> WithTerminalAsync(CancellationToken cancellation)
    {
        using LocalTerminal terminal = LocalTerminal.Enter();
        await using RemoteCommand attached = await AttachAsync(_options.Interactive, cancellation);
        var streams = new CommandStreams
        {
            Input = _options.Interactive ? Console.OpenStandardInput() : null,
            Output = Console.OpenStandardOutput(),
            Errors = Console.OpenStandardError(),
            DetachKeys = true,
            Terminal = terminal,
        };
        Task<(CommandEnd How, CommandResult? Said)> carried = attached.RunAsync(streams, cancellation);
        await Task.WhenAny(attached.Joined, carried);
        await StartAsync(cancellation);
        Task<ContainerStatus?> end = ContainerEnd.WaitAsync(_daemon, _containerId, cancellation);
        (CommandEnd how, _) = await carried;
        if (how == CommandEnd.Detached)
        {
            Console.Error.Write($"\r\nhearth: left {_options.Name} running (hearth attach {_options.Name})\r\n");
            return -1;
        }

        return (await end)?.ExitCode ?? 0;
    }

    private async Task<int> WithLogAsync(CancellationToken cancellation)
    {
        await using RemoteCommand? attached = _options.Interactive ? await AttachAsync(true, cancellation, output: false) : null;
        await StartAsync(cancellation);
        Task<ContainerStatus?> end = ContainerEnd.WaitAsync(_daemon, _containerId, cancellation);
        Task? input = attached?.RunAsync(new CommandStreams { Input = Console.OpenStandardInput(), Output = Stream.Null, Errors = Stream.Null }, cancellation);
        using Stream output = Console.OpenStandardOutput();
        using Stream errors = Console.OpenStandardError();
        await LogReader.ReadAsync(LogPath, new LogReading { Until = end }, output, errors, cancellation);
        _ = input?.ContinueWith(static task => task.Exception, TaskScheduler.Default);
        return (await end)?.ExitCode ?? 0;
    }

    private async Task<RemoteCommand> AttachAsync(bool input, CancellationToken cancellation, bool output = true)
    {
        AttachResponse where = await _daemon.Runtime.AttachAsync(
            new AttachRequest { ContainerId = _containerId, Stdin = input, Tty = _options.Tty, Stdout = output || !input, Stderr = output && !_options.Tty }, cancellationToken: cancellation);
        return await RemoteCommand.OpenAsync(where.Url, cancellation);
    }

    // Also after Ctrl-C, so with a time of its own.
    private async Task RemoveAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            if (_podId.Length > 0)
            {
                await ContainerRemoval.RemovePodAsync(_daemon, _podId, patience.Token);
            }

            ContainerRemoval.DeleteLogs(Logs);
        }
        catch (RpcException e)
        {
            Console.Error.WriteLine($"hearth: {_options.Name} could not be removed: {DaemonClient.Explain(e, _daemon.Settings.Socket)}");
        }
    }
}
