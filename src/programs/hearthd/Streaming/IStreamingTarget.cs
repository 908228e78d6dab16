using System.Threading.Channels;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>The client's ends of a process's standard streams; null for those that were not asked for.</summary>
/// <param name="Stdin">To read; its end is the input's.</param>
/// <param name="Stdout">To write. A client that is slow holds the writer up, one that is gone swallows.</param>
/// <param name="Stderr">Likewise.</param>
/// <param name="Sizes">Of the client's terminal.</param>
internal sealed record CommandStreams(Stream? Stdin, Stream? Stdout, Stream? Stderr, ChannelReader<TerminalSize> Sizes);

/// <summary>What streaming is about: the processes and ports of pods.</summary>
internal interface IStreamingTarget
{
    /// <summary>Runs a command in a container.</summary>
    /// <param name="request">What.</param>
    /// <param name="streams">Its standard streams.</param>
    /// <param name="clientGone">The client went away.</param>
    /// <returns>Its exit code, after all its output was written.</returns>
    Task<int> ExecAsync(ExecStreaming request, CommandStreams streams, CancellationToken clientGone);

    /// <summary>Joins a container's first process. Ends with it, or when the client goes.</summary>
    Task AttachAsync(AttachStreaming request, CommandStreams streams, CancellationToken clientGone);

    /// <summary>Connects to a TCP port in a pod.</summary>
    Task<DuplexStream> ConnectAsync(string podSandboxId, int port, CancellationToken clientGone);
}
