namespace Hearth.Linux.Seccomp;

/// <summary>How an argument of a system call is compared, as 64 unsigned bits. The names are libseccomp's.</summary>
public enum ArgumentComparison
{
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,

    /// <summary>Of the bits of a mask only.</summary>
    MaskedEqual,
}

/// <summary>A condition on one argument.</summary>
/// <param name="Index">0 to 5.</param>
/// <param name="Comparison">How.</param>
/// <param name="Value">With what.</param>
/// <param name="Mask">For <see cref="ArgumentComparison.MaskedEqual"/>: the bits that count.</param>
/// <param name="Is32Bit">Whether the call looks at the lower half only, as for an <c>int</c>: the upper one can be anything then.</param>
public readonly record struct ArgumentCheck(uint Index, ArgumentComparison Comparison, ulong Value, ulong Mask = ulong.MaxValue, bool Is32Bit = false);

/// <summary>What happens to a system call if all conditions hold.</summary>
/// <param name="Number">The call.</param>
/// <param name="Checks">None: always.</param>
/// <param name="Action"><c>SECCOMP_RET_*</c> with its data.</param>
public sealed record FilterRule(int Number, IReadOnlyList<ArgumentCheck> Checks, uint Action);
