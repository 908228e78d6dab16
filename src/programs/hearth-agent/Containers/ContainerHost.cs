using Hearth.Linux;
using Hearth.Programs.Agent.Processes;

namespace Hearth.Programs.Agent.Containers;

/// <summary>What a container needs of the agent. Thread: any.</summary>
internal sealed class ContainerHost
{
    // Guards _pause.
    private readonly Lock _lock = new();
    private Child? _pause;

    public ContainerHost(AgentPaths paths, ChildReaper reaper, EventLoop loop, EventHub events, Cgroup parent)
    {
        Paths = paths;
        Loop = loop;
        Events = events;
        Parent = parent;
        Launcher = new ProcessLauncher(reaper, paths.Program);
    }

    public AgentPaths Paths { get; }

    public EventLoop Loop { get; }

    public EventHub Events { get; }

    public Cgroup Parent { get; }

    public ProcessLauncher Launcher { get; }

    /// <summary>Process 1 of the pid namespace that the pod's containers share; started when it is first asked for.</summary>
    public Child Pause()
    {
        lock (_lock)
        {
            if (_pause is null || _pause.Exit.IsCompleted)
            {
                _pause = Launcher.StartPause();
            }

            return _pause;
        }
    }
}
