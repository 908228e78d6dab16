using System.Text.Json.Serialization;

namespace Hearth.Oci.Runtime;

/// <summary>A container's process. Source: runtime-spec config.md, Process.</summary>
public sealed record ProcessSpec
{
    public bool Terminal { get; init; }

    public ConsoleSize? ConsoleSize { get; init; }

    public UserSpec User { get => field ?? new(); init; }

    public IReadOnlyList<string> Args { get => field ?? []; init; }

    /// <summary><c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Env { get => field ?? []; init; }

    /// <summary>An absolute path in the container.</summary>
    public string Cwd { get => field ?? "/"; init; }

    public CapabilitiesSpec? Capabilities { get; init; }

    public IReadOnlyList<RlimitSpec> Rlimits { get => field ?? []; init; }

    public bool NoNewPrivileges { get; init; }

    public string? ApparmorProfile { get; init; }

    public int? OomScoreAdj { get; init; }

    public string? SelinuxLabel { get; init; }
}

/// <summary>A terminal's size, in characters.</summary>
public sealed record ConsoleSize
{
    public uint Height { get; init; }

    public uint Width { get; init; }
}

/// <summary>Who a process runs as.</summary>
public sealed record UserSpec
{
    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint? Umask { get; init; }

    public IReadOnlyList<uint> AdditionalGids { get => field ?? []; init; }
}

/// <summary>The five sets, by names such as <c>CAP_CHOWN</c>.</summary>
public sealed record CapabilitiesSpec
{
    public IReadOnlyList<string> Bounding { get => field ?? []; init; }

    public IReadOnlyList<string> Effective { get => field ?? []; init; }

    public IReadOnlyList<string> Inheritable { get => field ?? []; init; }

    public IReadOnlyList<string> Permitted { get => field ?? []; init; }

    public IReadOnlyList<string> Ambient { get => field ?? []; init; }
}

/// <summary>A resource limit.</summary>
public sealed record RlimitSpec
{
    /// <summary><c>RLIMIT_NOFILE</c> and the like.</summary>
    [JsonPropertyName("type")]
    public required string Type { get; init; }

    public ulong Soft { get; init; }

    public ulong Hard { get; init; }
}
