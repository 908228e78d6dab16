namespace Hearth.Runtime.Pods;

/// <summary>What a command said, and how it ended.</summary>
/// <param name="Stdout">The first 16 MiB of it.</param>
/// <param name="Stderr">The first 16 MiB of it.</param>
/// <param name="ExitCode">128 and the signal's number for one that was killed.</param>
public sealed record ExecResult(byte[] Stdout, byte[] Stderr, int ExitCode)
{
    /// <summary>What is kept of each stream; the rest is read and dropped.</summary>
    public const int MaxBytes = 16 << 20;
}

/// <summary>A command to be run in a container with streams.</summary>
public sealed record ExecOptions
{
    public required IReadOnlyList<string> Command { get; init; }

    public bool Tty { get; init; }

    public bool Stdin { get; init; }

    public bool Stdout { get; init; } = true;

    /// <summary>Not with a terminal: that has one output.</summary>
    public bool Stderr { get; init; }

    /// <summary><c>NAME=value</c>, over the container's own.</summary>
    public IReadOnlyList<string> Env { get; init; } = [];

    /// <summary>Empty for the container's.</summary>
    public string WorkingDir { get; init; } = "";

    /// <summary><c>USER[:GROUP]</c>, by name or number, looked up in the image; empty for the container's.</summary>
    public string User { get; init; } = "";
}

/// <summary>What a client wants of a container's first process.</summary>
public sealed record AttachOptions
{
    public bool Stdin { get; init; }

    public bool Stdout { get; init; } = true;

    /// <summary>Not with a terminal.</summary>
    public bool Stderr { get; init; }
}

/// <summary>
/// A process's streams, held by one client. Disposing lets go of them: an exec whose streams are let go of before it ended is
/// killed; a container that was attached to goes on. Thread: each stream by one reader or writer at a time, the rest any.
/// </summary>
public interface IProcessSession : IAsyncDisposable
{
    /// <summary>Null if it was not asked for. Disposing it is the end of the input.</summary>
    Stream? Stdin { get; }

    /// <summary>Null if it was not asked for. Its end comes after the last byte.</summary>
    Stream? Stdout { get; }

    Stream? Stderr { get; }

    /// <summary>Characters. Nothing happens without a terminal.</summary>
    Task ResizeAsync(uint columns, uint rows, CancellationToken cancellation = default);

    /// <summary>Waits for the process's end.</summary>
    /// <returns>Its exit code; for a container that was attached to, the container's.</returns>
    Task<int> WaitAsync(CancellationToken cancellation = default);
}
