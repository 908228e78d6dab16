namespace Hearth.Programs.Hearth.Containers;

/// <summary>When an image is fetched.</summary>
internal enum PullPolicy
{
    Missing,
    Always,
    Never,
}

/// <summary>What <c>hearth run</c> was asked for, in docker's words.</summary>
internal sealed record RunOptions
{
    public required string Image { get; init; }

    public IReadOnlyList<string> Command { get; init; } = [];

    public required string Name { get; init; }

    public bool Interactive { get; init; }

    public bool Tty { get; init; }

    public bool Detach { get; init; }

    public bool Remove { get; init; }

    /// <summary><c>NAME=value</c>, or <c>NAME</c> for this process's own.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary><c>HOST:CONTAINER[:ro]</c>.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    /// <summary><c>[ADDRESS:]PORT:PORT[/udp]</c>.</summary>
    public IReadOnlyList<string> Ports { get; init; } = [];

    public string? Cpus { get; init; }

    public string? Memory { get; init; }

    public string? Entrypoint { get; init; }

    /// <summary><c>USER[:GROUP]</c>.</summary>
    public string? User { get; init; }

    public string? WorkingDirectory { get; init; }

    public string? Hostname { get; init; }

    /// <summary><c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    public IReadOnlyList<string> AddedCapabilities { get; init; } = [];

    public IReadOnlyList<string> DroppedCapabilities { get; init; } = [];

    public bool ReadOnly { get; init; }

    public bool Privileged { get; init; }

    /// <summary>Of the runtime; empty for the configured one.</summary>
    public string Handler { get; init; } = "";

    public PullPolicy Pull { get; init; }
}
