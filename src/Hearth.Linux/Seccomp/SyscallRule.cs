namespace Hearth.Linux.Seccomp;

/// <summary>A system call that a thread may make, and why: one line of a policy that people read.</summary>
public sealed record SyscallRule
{
    /// <summary>Stands for this process's own id as a value to compare with; the id takes its place when the filter is installed.</summary>
    public const uint OwnProcess = 0x5e1f_1d00;

    private readonly ArgumentCheck[] _checks;

    /// <param name="name">The kernel's name.</param>
    /// <param name="reason">What needs it: a few words.</param>
    /// <param name="checks">What must hold, all of it; none: always.</param>
    public SyscallRule(string name, string reason, params ArgumentCheck[] checks)
    {
        Name = name;
        Reason = reason;
        _checks = checks;
    }

    public string Name { get; }

    public string Reason { get; }

    public IReadOnlyList<ArgumentCheck> Checks => _checks;

    /// <summary>Not allowed, but refused with this error instead of the end: for calls that whoever makes them can do without.</summary>
    public Errno Refusal { get; init; }

    /// <summary>An argument of 32 bits that must be this.</summary>
    public static ArgumentCheck Is(uint index, uint value) => new(index, ArgumentComparison.Equal, value, Is32Bit: true);

    /// <summary>Of an argument's bits <paramref name="mask"/>, these must be set and no others.</summary>
    public static ArgumentCheck Has(uint index, ulong mask, ulong bits) => new(index, ArgumentComparison.MaskedEqual, bits, mask);

    /// <summary>One rule for each value that an argument of 32 bits may have.</summary>
    public static IEnumerable<SyscallRule> OneOf(string name, string reason, uint index, params uint[] values) =>
        values.Select(value => new SyscallRule(name, reason, Is(index, value)));
}
