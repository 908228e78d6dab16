using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Stdio;

namespace Hearth.Programs.Agent.Processes;

/// <summary>A process's standard streams: the ends that it gets, and those that the agent keeps. Thread: any, one at a time.</summary>
internal sealed class ProcessStreams
{
    private readonly EventLoop _loop;
    private readonly StandardStreams _wanted;
    private readonly List<FileDescriptor> _far = [];
    private TerminalMaster? _terminal;

    /// <param name="loop">Where their bytes are moved.</param>
    /// <param name="wanted">Which ones there are.</param>
    /// <param name="terminal">Whether they are a terminal's, which comes later.</param>
    public ProcessStreams(EventLoop loop, StandardStreams? wanted, bool terminal)
    {
        _loop = loop;
        _wanted = wanted ?? new StandardStreams();
        if (terminal)
        {
            for (int number = 0; number <= 2; number++)
            {
                _far.Add(Nothing());
            }

            return;
        }

        if (_wanted.Stdin)
        {
            (FileDescriptor read, FileDescriptor write) = Pipe.Create();
            _far.Add(read);
            Input = new InputStream(loop, write);
        }
        else
        {
            _far.Add(Nothing());
        }

        Output = CreateOutput(_wanted.Stdout);
        Errors = CreateOutput(_wanted.Stderr);
    }

    public InputStream? Input { get; private set; }

    public OutputStream? Output { get; private set; }

    public OutputStream? Errors { get; }

    /// <summary>What the process gets as 0, 1 and 2.</summary>
    public IReadOnlyList<FileDescriptor> Far => _far;

    /// <summary>Closes what the process has its own copies of.</summary>
    public void CloseFar()
    {
        foreach (FileDescriptor descriptor in _far)
        {
            descriptor.Dispose();
        }

        _far.Clear();
    }

    /// <summary>Takes the process's terminal, and moves its bytes.</summary>
    public void TakeTerminal(TerminalMaster? terminal)
    {
        if (terminal is null)
        {
            return;
        }

        _terminal = terminal;
        // Copies: each direction waits for itself.
        if (_wanted.Stdin)
        {
            Input = new InputStream(_loop, Copy(terminal));
        }

        if (_wanted.Stdout)
        {
            Output = new OutputStream(_loop, Copy(terminal));
        }
    }

    public void Resize(ushort columns, ushort rows) => _terminal?.Resize(columns, rows);

    public bool HasTerminal => _terminal is not null;

    public IStdioEndpoint? Find(StdioStream stream) => stream switch
    {
        StdioStream.Stdin => Input,
        StdioStream.Stdout => Output,
        StdioStream.Stderr => Errors,
        _ => null,
    };

    public void Close()
    {
        CloseFar();
        Input?.Close();
        Output?.Close();
        Errors?.Close();
        _terminal?.Dispose();
    }

    private OutputStream? CreateOutput(bool wanted)
    {
        if (!wanted)
        {
            _far.Add(Nothing());
            return null;
        }

        (FileDescriptor read, FileDescriptor write) = Pipe.Create();
        _far.Add(write);
        return new OutputStream(_loop, read);
    }

    private static FileDescriptor Nothing() => FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);

    private static FileDescriptor Copy(FileDescriptor descriptor) =>
        new(FileDescriptor.Check(Fcntl.fcntl(descriptor.Number, Fcntl.F_DUPFD_CLOEXEC, 3), "fcntl(F_DUPFD_CLOEXEC)"));
}
