using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>A container that is there, with or without its first process.</summary>
internal sealed class OciContainer(string id, string folder)
{
    public const string FolderKey = "folder";

    public string Id => id;

    public ContainerPaths Paths { get; } = new(folder);

    /// <summary>Keeps its end from being told; null before it is watched.</summary>
    public IDisposable? Watch { get; set; }

    /// <summary>Its exit code, once it has ended.</summary>
    public TaskCompletionSource<int> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether its processes can outlive its first one, which is no process 1 then.</summary>
    public bool SharesProcesses { get; init; }

    public bool HasTerminal { get; init; }

    public string LogPath { get; init; } = "";

    /// <summary>What its writable layer takes, and when that was counted: a walk over all its files.</summary>
    public (ulong Bytes, ulong Inodes, DateTimeOffset At) Writable { get; set; }

    public static OciContainer Of(Container container, string folder) => new(container.Id, folder)
    {
        SharesProcesses = container.Config.Security.Namespaces.Pid != NamespaceMode.Container,
        HasTerminal = container.Config.Tty,
        LogPath = container.LogPath,
    };
}
