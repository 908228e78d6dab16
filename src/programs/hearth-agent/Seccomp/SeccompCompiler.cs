using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Seccomp;

/// <summary>
/// Makes a BPF program of an OCI seccomp profile. Of several rules for one call, the first whose conditions hold counts.
/// <para>As with runc, a call that is newer than all the profile knows gets ENOSYS where the default is an error: C libraries
/// then try the older call. A call by another architecture's table (x32, i386) gets the default if that refuses, else ENOSYS.</para>
/// Source: runtime-spec config-linux.md, Seccomp; seccomp(2).
/// </summary>
internal static class SeccompCompiler
{
    private const int ArgumentCount = 6;
    private const uint EPERM = 1;
    private const uint ENOSYS = 38;

    /// <exception cref="TtrpcException">InvalidArgument: the profile says something that does not exist, or is too long.</exception>
    public static sock_filter[] Compile(SeccompSpec profile)
    {
        uint byDefault = ActionOf(profile.DefaultAction, profile.DefaultErrnoRet);
        List<FilterRule> rules = Collect(profile);
        bool tellsNewCalls = byDefault == (LinuxSeccomp.SECCOMP_RET_ERRNO | EPERM) && rules.Count > 0;
        bool refuses = (byDefault & ~LinuxSeccomp.SECCOMP_RET_DATA) is not (LinuxSeccomp.SECCOMP_RET_ALLOW or LinuxSeccomp.SECCOMP_RET_LOG or LinuxSeccomp.SECCOMP_RET_TRACE);
        return FilterCompiler.Compile(
            rules, byDefault, tellsNewCalls ? LinuxSeccomp.SECCOMP_RET_ERRNO | ENOSYS : byDefault, refuses ? byDefault : LinuxSeccomp.SECCOMP_RET_ERRNO | ENOSYS)
            ?? throw Invalid($"the profile needs more than {LinuxSeccomp.BPF_MAXINSNS} instructions");
    }

    /// <summary>The flags of seccomp(2) that a profile asks for.</summary>
    public static uint FlagsOf(SeccompSpec profile)
    {
        uint flags = 0;
        foreach (string flag in profile.Flags)
        {
            flags |= flag switch
            {
                // Of no use: the process has one thread by then.
                "SECCOMP_FILTER_FLAG_TSYNC" => 0,
                "SECCOMP_FILTER_FLAG_LOG" => LinuxSeccomp.SECCOMP_FILTER_FLAG_LOG,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => LinuxSeccomp.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                _ => throw Invalid($"\"{flag}\" is no flag that is supported"),
            };
        }

        return flags;
    }

    private static List<FilterRule> Collect(SeccompSpec profile)
    {
        List<FilterRule> rules = [];
        foreach (SyscallSpec syscall in profile.Syscalls)
        {
            uint action = ActionOf(syscall.Action, syscall.ErrnoRet);
            List<IReadOnlyList<ArgumentCheck>> alternatives = Alternatives(syscall.Args);
            foreach (string name in syscall.Names)
            {
                // A name of another architecture, or of a later kernel: nothing here can call it.
                if (SyscallTable.Numbers.TryGetValue(name, out int number))
                {
                    rules.AddRange(alternatives.Select(checks => new FilterRule(number, checks, action)));
                }
            }
        }

        return rules;
    }

    // Conditions on one argument twice cannot be meant to hold both: each is a rule of its own, as runc reads it.
    private static List<IReadOnlyList<ArgumentCheck>> Alternatives(IReadOnlyList<SyscallArgumentSpec> conditions)
    {
        ArgumentCheck[] checks = [.. conditions.Select(CheckOf)];
        bool repeated = conditions.Select(static condition => condition.Index).Distinct().Count() < conditions.Count;
        return repeated ? [.. checks.Select(static check => (IReadOnlyList<ArgumentCheck>)[check])] : [checks];
    }

    private static ArgumentCheck CheckOf(SyscallArgumentSpec condition)
    {
        if (condition.Index >= ArgumentCount)
        {
            throw Invalid($"argument {condition.Index} does not exist");
        }

        ArgumentComparison comparison = condition.Op switch
        {
            "SCMP_CMP_EQ" => ArgumentComparison.Equal,
            "SCMP_CMP_NE" => ArgumentComparison.NotEqual,
            "SCMP_CMP_GT" => ArgumentComparison.Greater,
            "SCMP_CMP_GE" => ArgumentComparison.GreaterOrEqual,
            "SCMP_CMP_LT" => ArgumentComparison.Less,
            "SCMP_CMP_LE" => ArgumentComparison.LessOrEqual,
            "SCMP_CMP_MASKED_EQ" => ArgumentComparison.MaskedEqual,
            _ => throw Invalid($"\"{condition.Op}\" is no comparison"),
        };
        // With a mask, it is the first value and what is compared the second.
        return comparison == ArgumentComparison.MaskedEqual
            ? new ArgumentCheck(condition.Index, comparison, condition.ValueTwo, condition.Value)
            : new ArgumentCheck(condition.Index, comparison, condition.Value);
    }

    private static uint ActionOf(string action, uint? errno) => action switch
    {
        "SCMP_ACT_ALLOW" => LinuxSeccomp.SECCOMP_RET_ALLOW,
        "SCMP_ACT_ERRNO" => LinuxSeccomp.SECCOMP_RET_ERRNO | ((errno ?? EPERM) & LinuxSeccomp.SECCOMP_RET_DATA),
        "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => LinuxSeccomp.SECCOMP_RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => LinuxSeccomp.SECCOMP_RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => LinuxSeccomp.SECCOMP_RET_TRAP,
        "SCMP_ACT_TRACE" => LinuxSeccomp.SECCOMP_RET_TRACE | ((errno ?? EPERM) & LinuxSeccomp.SECCOMP_RET_DATA),
        "SCMP_ACT_LOG" => LinuxSeccomp.SECCOMP_RET_LOG,
        _ => throw Invalid($"\"{action}\" is no action that is supported"),
    };

    private static TtrpcException Invalid(string what) => new(StatusCode.InvalidArgument, $"Seccomp: {what}.");
}
