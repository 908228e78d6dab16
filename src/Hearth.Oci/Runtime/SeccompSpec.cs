namespace Hearth.Oci.Runtime;

/// <summary>What system calls do. Source: runtime-spec config-linux.md, Seccomp.</summary>
public sealed record SeccompSpec
{
    /// <summary><c>SCMP_ACT_*</c>, for what no rule names.</summary>
    public required string DefaultAction { get; init; }

    /// <summary>With SCMP_ACT_ERRNO; nothing is EPERM.</summary>
    public uint? DefaultErrnoRet { get; init; }

    /// <summary><c>SCMP_ARCH_*</c>.</summary>
    public IReadOnlyList<string> Architectures { get => field ?? []; init; }

    /// <summary><c>SECCOMP_FILTER_FLAG_*</c>.</summary>
    public IReadOnlyList<string> Flags { get => field ?? []; init; }

    public string? ListenerPath { get; init; }

    public string? ListenerMetadata { get; init; }

    public IReadOnlyList<SyscallSpec> Syscalls { get => field ?? []; init; }
}

/// <summary>One rule.</summary>
public sealed record SyscallSpec
{
    public IReadOnlyList<string> Names { get => field ?? []; init; }

    /// <summary><c>SCMP_ACT_*</c>.</summary>
    public required string Action { get; init; }

    public uint? ErrnoRet { get; init; }

    /// <summary>All must hold; two of one index are two rules.</summary>
    public IReadOnlyList<SyscallArgumentSpec> Args { get => field ?? []; init; }
}

/// <summary>A condition on an argument.</summary>
public sealed record SyscallArgumentSpec
{
    /// <summary>0 to 5.</summary>
    public uint Index { get; init; }

    public ulong Value { get; init; }

    /// <summary>With SCMP_CMP_MASKED_EQ: what the argument, masked with <see cref="Value"/>, must be.</summary>
    public ulong ValueTwo { get; init; }

    /// <summary><c>SCMP_CMP_*</c>.</summary>
    public required string Op { get; init; }
}
