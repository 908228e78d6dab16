using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Ttrpc;

namespace Hearth.Shim.Streams;

/// <summary>Whose standard streams they are, and their addresses as the manager gave them.</summary>
internal sealed record StdioRequest
{
    public required string Namespace { get; init; }

    public required string ContainerId { get; init; }

    public string ExecId { get; init; } = "";

    public string Stdin { get; init; } = "";

    public string Stdout { get; init; } = "";

    public string Stderr { get; init; } = "";

    public bool Terminal { get; init; }

    /// <summary>Whether the end of the first client that attached is the end of the input.</summary>
    public bool StdinOnce { get; init; }
}

/// <summary>
/// A process's standard streams between the manager and the guest. Opened before the process is made, so that what is wrong
/// with an address is said then; moved from <see cref="Begin"/> on. Thread: any.
/// </summary>
internal sealed class ProcessStdio : IAsyncDisposable
{
    private const uint OwnerWritesOthersRead = 0x1A4;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(2);

    private readonly StdioRequest _request;
    private readonly EventLoop _loop;
    private readonly Action<string> _tell;
    private readonly CancellationTokenSource _end = new();
    private readonly List<IOutputSink> _sinks = [];
    private readonly List<Task> _outputs = [];
    private CriLog? _log;
    private LoggingProgram? _program;
    private LoopDescriptor? _stdinFifo;
    private FileDescriptor? _stdinKeeper;
    private volatile bool _closeAsked;
    private InputChannel? _input;
    private Task _inputPump = Task.CompletedTask;
    private OutputChannel? _stdout;
    private OutputChannel? _stderr;

    private ProcessStdio(StdioRequest request, EventLoop loop, Action<string> tell)
    {
        _request = request;
        _loop = loop;
        _tell = tell;
    }

    /// <summary>Which ones the process has.</summary>
    public StandardStreams Wanted { get; } = new();

    /// <summary>Completes, and never fails, when all output has been handed on.</summary>
    public Task OutputEnded { get; private set; } = Task.CompletedTask;

    /// <summary>Whether this is an exec's stream that the process itself is connected to by the stream socket's client.</summary>
    public bool IsRelayed(StdioStream stream) => _request.ExecId.Length > 0 && AddressOf(stream).Kind == StreamKind.Held;

    /// <exception cref="TtrpcException">An address is wrong, or what it names cannot be opened.</exception>
    public static async Task<ProcessStdio> OpenAsync(StdioRequest request, EventLoop loop, Action<string> tell)
    {
        var stdio = new ProcessStdio(request, loop, tell);
        try
        {
            stdio.Open();
            return stdio;
        }
        catch (Exception e)
        {
            await stdio.DisposeAsync().ConfigureAwait(false);
            throw e is LinuxException or IOException or UnauthorizedAccessException ? new TtrpcException(StatusCode.NotFound, e.Message, e) : e;
        }
    }

    /// <summary>Connects to a process that is there now.</summary>
    public void Begin(AgentClient agent)
    {
        Func<StdioStream, Func<CancellationToken, Task<Stream>>> open = stream => cancellation =>
            agent.OpenStdioAsync(new StdioHandshake(_request.ContainerId, _request.ExecId, stream), cancellation);
        if (_stdout is not null)
        {
            _outputs.Add(_stdout.PumpAsync(open(StdioStream.Stdout), _end.Token));
        }

        if (_stderr is not null)
        {
            _outputs.Add(_stderr.PumpAsync(open(StdioStream.Stderr), _end.Token));
        }

        OutputEnded = FinishAsync(Task.WhenAll(_outputs));
        if (Wanted.Stdin && !IsRelayed(StdioStream.Stdin))
        {
            var which = new CloseStdinRequest { ContainerId = _request.ContainerId, ExecId = _request.ExecId };
            _input = new InputChannel(open(StdioStream.Stdin), () => agent.CloseStdinAsync(which), _request.StdinOnce);
        }
    }

    /// <summary>
    /// Opens the input's FIFO, once the process was started: ctr, whose input may end at once, tells of that end only if it
    /// knows of a task by then.
    /// </summary>
    public void BeginInput()
    {
        StreamAddress stdin = AddressOf(StdioStream.Stdin);
        if (_input is not null && stdin.Kind == StreamKind.Fifo)
        {
            _inputPump = PumpAsync(_input, stdin.Path);
        }
    }

    /// <summary>The manager will write no more; its clients may still have the FIFO open.</summary>
    public void CloseStdin()
    {
        if (AddressOf(StdioStream.Stdin).Kind == StreamKind.Fifo)
        {
            _closeAsked = true;
            _stdinKeeper?.Dispose();
        }
        else
        {
            _ = _input?.EndAsync();
        }
    }

    /// <summary>The output that clients can attach to; null if there is none.</summary>
    public OutputChannel? Output(StdioStream stream) => AddressOf(stream).Kind is StreamKind.Cri or StreamKind.Held
        ? stream switch
        {
            StdioStream.Stdout => _stdout,
            StdioStream.Stderr => _stderr,
            _ => null,
        }
        : null;

    /// <summary>The input that a client can attach to; null if there is none.</summary>
    public InputChannel? Input => AddressOf(StdioStream.Stdin).Kind == StreamKind.Held ? _input : null;

    /// <exception cref="TtrpcException">There is no log, or it cannot be opened.</exception>
    public void ReopenLog()
    {
        if (_log is null)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{_request.ContainerId}\" has no log that the shim writes.");
        }

        try
        {
            _log.Reopen();
        }
        catch (LinuxException e)
        {
            throw new TtrpcException(StatusCode.Unknown, e.Message, e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_sinks.Count > 0)
        {
            // What is on its way still comes, unless nobody takes it.
            await Task.WhenAny(OutputEnded, Task.Delay(s_farewell)).ConfigureAwait(false);
        }

        await _end.CancelAsync().ConfigureAwait(false);
        _sinks.ForEach(static sink => sink.End());
        _stdinFifo?.Dispose();
        _stdinKeeper?.Dispose();
        if (_input is not null)
        {
            await _input.DisposeAsync().ConfigureAwait(false);
        }

        await _inputPump.ConfigureAwait(false);
        await OutputEnded.ConfigureAwait(false);
        if (_outputs.Count == 0)
        {
            // Never begun: what was opened has no pump to close it.
            await FinishAsync(Task.CompletedTask).ConfigureAwait(false);
        }
    }

    private Task PumpAsync(InputChannel input, string path)
    {
        try
        {
            // The second descriptor keeps the input from ending when one client of the manager's goes before the next comes.
            _stdinFifo = new LoopDescriptor(_loop, FileDescriptor.Open(path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK));
            _stdinKeeper = FileDescriptor.Open(path, Fcntl.O_WRONLY | Fcntl.O_NONBLOCK);
            if (_closeAsked)
            {
                _stdinKeeper.Dispose();
            }

            return input.PumpAsync(_stdinFifo);
        }
        catch (LinuxException e)
        {
            _tell($"There is no input for \"{_request.ContainerId}\": {e.Message}");
            return input.EndAsync();
        }
    }

    private async Task FinishAsync(Task pumps)
    {
        await pumps.ConfigureAwait(false);
        if (_log is { Lost: > 0 } log)
        {
            _tell($"{log.Lost} bytes of the log of \"{_request.ContainerId}\" were lost: it could not be written.");
        }

        _log?.Dispose();
        if (Interlocked.Exchange(ref _program, null) is { } program)
        {
            await Task.Run(program.WaitForEnd).ConfigureAwait(false);
        }
    }

    private void Open()
    {
        (StreamAddress stdin, StreamAddress stdout, StreamAddress stderr) =
            (AddressOf(StdioStream.Stdin), AddressOf(StdioStream.Stdout), AddressOf(StdioStream.Stderr));
        if (stdin.Kind is not (StreamKind.None or StreamKind.Fifo or StreamKind.Held))
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"\"{_request.Stdin}\" is no address of an input: it is a FIFO's path or stream://.");
        }

        Wanted.Stdin = !stdin.IsNone;
        Wanted.Stdout = !stdout.IsNone;
        Wanted.Stderr = !stderr.IsNone && !_request.Terminal;
        _stdout = Wanted.Stdout && !IsRelayed(StdioStream.Stdout) ? Channel(stdout, errors: false) : null;
        _stderr = Wanted.Stderr && !IsRelayed(StdioStream.Stderr) ? Channel(stderr, errors: true) : null;
        if (stdin.Kind == StreamKind.Fifo && !File.Exists(stdin.Path))
        {
            throw new TtrpcException(StatusCode.NotFound, $"The FIFO {stdin.Path} of the input is not there.");
        }
    }

    private OutputChannel Channel(StreamAddress address, bool errors)
    {
        IOutputSink? sink = address.Kind switch
        {
            // Both ways: neither opening nor writing then depends on somebody who reads.
            StreamKind.Fifo => new DescriptorSink(new LoopDescriptor(_loop, FileDescriptor.Open(address.Path, Fcntl.O_RDWR | Fcntl.O_APPEND | Fcntl.O_NONBLOCK))),
            StreamKind.File => new DescriptorSink(new LoopDescriptor(_loop, OpenFile(address.Path))),
            StreamKind.Binary => new DescriptorSink(new LoopDescriptor(_loop, ProgramOf(address, errors))),
            StreamKind.Cri => new CriSink(LogOf(address).CreateWriter(errors)),
            _ => null,
        };
        if (sink is not null)
        {
            _sinks.Add(sink);
        }

        return new OutputChannel(sink, _tell);
    }

    private static FileDescriptor OpenFile(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path) ?? "/");
        return FileDescriptor.Open(path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, OwnerWritesOthersRead);
    }

    private CriLog LogOf(StreamAddress address)
    {
        if (_log is not null && AddressOf(StdioStream.Stdout).Path != address.Path)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"Both outputs go into one log: \"{_request.Stdout}\" is another than \"{_request.Stderr}\".");
        }

        return _log ??= new CriLog(address.Path);
    }

    private FileDescriptor ProgramOf(StreamAddress address, bool errors)
    {
        _program ??= LoggingProgram.Start(address, _request.ContainerId, _request.Namespace);
        if (!errors && !Wanted.Stderr)
        {
            _program.Errors.Dispose();
        }

        return errors ? _program.Errors : _program.Output;
    }

    private StreamAddress AddressOf(StdioStream stream) => StreamAddress.Parse(stream switch
    {
        StdioStream.Stdin => _request.Stdin,
        StdioStream.Stdout => _request.Stdout,
        _ => _request.Stderr,
    });
}
