using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Setup;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Processes;

/// <summary>Starts the agent's program in its other roles.</summary>
/// <param name="reaper">Who waits for them.</param>
/// <param name="program">The program's path.</param>
internal sealed class ProcessLauncher(ChildReaper reaper, string program)
{
    // Each takes some megabytes of a small guest while it is set up.
    private const int MostAtOnce = 16;

    private static readonly TimeSpan s_end = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _places = new(MostAtOnce);

    /// <summary>
    /// Starts a process, and waits until all is done but its last step; for its turn too when many are started at once.
    /// </summary>
    /// <param name="setup">What it becomes.</param>
    /// <param name="stdio">Its descriptors 0, 1 and 2.</param>
    /// <param name="pidNamespace">Whose pid namespace it is in; null for a new one.</param>
    /// <param name="target">Whose namespaces it enters; null for none.</param>
    /// <param name="started">Called with the process when it is there, before it does anything.</param>
    /// <exception cref="TtrpcException">It cannot be done; the process has ended.</exception>
    public PreparedProcess Prepare(
        ContainerSetup setup, IReadOnlyList<FileDescriptor> stdio, FileDescriptor? pidNamespace, FileDescriptor? target, Action<Child> started)
    {
        _places.Wait();
        try
        {
            return PrepareOne(setup, stdio, pidNamespace, target, started);
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Starts process 1 of a pid namespace.</summary>
    public Child StartPause()
    {
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        return Start(PauseRole.Argument, [none, none, new FileDescriptor(2, ownsHandle: false)], null);
    }

    private PreparedProcess PrepareOne(
        ContainerSetup setup, IReadOnlyList<FileDescriptor> stdio, FileDescriptor? pidNamespace, FileDescriptor? target, Action<Child> started)
    {
        (ControlChannel near, ControlChannel far) = ControlChannel.CreatePair();
        Child child;
        using (far)
        using (FileDescriptor document = Pipe.CreateMemoryFile("setup", setup.ToJson()))
        {
            List<FileDescriptor> descriptors = [.. stdio, far, document];
            if (target is not null)
            {
                descriptors.Add(target);
            }

            try
            {
                child = Start(SetupRole.Argument, descriptors, pidNamespace);
            }
            catch
            {
                near.Dispose();
                throw;
            }
        }

        try
        {
            Tell(started, child);
            return new PreparedProcess(child, near, TakeAnswers(child, near));
        }
        catch
        {
            // It may wait for an answer on the channel, whose end is its own.
            ChildProcess.Signal(child.Pidfd, Signals.SIGKILL);
            near.Dispose();
            throw;
        }
    }

    // One that has ended by then has said why, on the channel.
    private static void Tell(Action<Child> started, Child child)
    {
        try
        {
            started(child);
        }
        catch (LinuxException e) when (e.Errno == Errno.ESRCH)
        {
        }
    }

    private Child Start(string role, IReadOnlyList<FileDescriptor> descriptors, FileDescriptor? pidNamespace) =>
        // Children are born in the pid namespace that their parent thread has chosen for them.
        reaper.Add(() => Namespaces.OnOwnThread(() =>
        {
            if (pidNamespace is null)
            {
                Namespaces.Unshare(Sched.CLONE_NEWPID);
            }
            else
            {
                Namespaces.Join(pidNamespace, Sched.CLONE_NEWPID);
            }

            return ChildProcess.Spawn(program, ["hearth-agent", role], [], descriptors);
        }));

    private static TerminalMaster? TakeAnswers(Child child, ControlChannel channel)
    {
        TerminalMaster? terminal = null;
        byte[] message = new byte[ControlChannel.MaxMessage];
        while (true)
        {
            int length = channel.Receive(message, out FileDescriptor? descriptor);
            switch (length == 0 ? SetupChannel.Failed : message[0])
            {
                case SetupChannel.Terminal when descriptor is not null:
                    terminal = new TerminalMaster(descriptor.Number);
                    descriptor.SetHandleAsInvalid();
                    break;
                case SetupChannel.Ready:
                    return terminal;
                default:
                    terminal?.Dispose();
                    descriptor?.Dispose();
                    throw length == 0 ? Died(child) : SetupChannel.Failure(message.AsSpan(0, length));
            }
        }
    }

    // The channel closes while it ends.
    private static TtrpcException Died(Child child)
    {
        string how = child.Exit.Wait(s_end) ? $" (status {child.Exit.Result.Status})" : "";
        return new TtrpcException(
            StatusCode.ResourceExhausted,
            $"What sets the process up has ended before it was done{how}: the memory of the guest or of the container, or its limit of processes, may be too small.");
    }
}

/// <summary>A process that waits for its last step. Thread: one at a time.</summary>
internal sealed class PreparedProcess(Child child, ControlChannel channel, TerminalMaster? terminal)
{
    public Child Child { get; } = child;

    /// <summary>The near side of its terminal, for who takes it; null if it has none.</summary>
    public TerminalMaster? Terminal { get; } = terminal;

    /// <summary>Lets it become its program.</summary>
    /// <exception cref="TtrpcException">It cannot; it has ended.</exception>
    public void Go()
    {
        byte[] message = new byte[ControlChannel.MaxMessage];
        using (channel)
        {
            channel.Send([SetupChannel.Go]);
            int length = channel.Receive(message, out _);
            if (length > 0)
            {
                throw SetupChannel.Failure(message.AsSpan(0, length));
            }
        }
    }
}
