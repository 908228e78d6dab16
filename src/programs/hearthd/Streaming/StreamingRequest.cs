namespace Hearth.Programs.Daemon.Streaming;

/// <summary>What a token stands for: what was asked over CRI, and nothing that a client of the streaming server says.</summary>
internal abstract record StreamingRequest
{
    /// <summary>In the URL: <c>/exec/TOKEN</c>.</summary>
    public abstract string Kind { get; }
}

/// <summary>Exec and attach: standard streams of a process.</summary>
internal abstract record CommandRequest : StreamingRequest
{
    public required string ContainerId { get; init; }

    public bool Stdin { get; init; }

    public bool Stdout { get; init; }

    /// <summary>Never with <see cref="Tty"/>.</summary>
    public bool Stderr { get; init; }

    public bool Tty { get; init; }
}

internal sealed record ExecStreaming : CommandRequest
{
    public override string Kind => "exec";

    public required IReadOnlyList<string> Command { get; init; }

    /// <summary><c>NAME=value</c>, over the container's own.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>Empty: the container's.</summary>
    public string WorkingDirectory { get; init; } = "";

    /// <summary>Empty: the container's.</summary>
    public string User { get; init; } = "";
}

internal sealed record AttachStreaming : CommandRequest
{
    public override string Kind => "attach";
}

internal sealed record PortForwardStreaming : StreamingRequest
{
    public override string Kind => "portforward";

    public required string PodSandboxId { get; init; }

    /// <summary>Those that may be asked for; empty: any.</summary>
    public IReadOnlyList<int> Ports { get; init; } = [];
}
