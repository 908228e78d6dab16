using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Seccomp;

/// <summary>
/// Makes a BPF program of an OCI seccomp profile: a search tree over the numbers of system calls, whose leaves are an action
/// or a list of conditions. Of several rules for one call, the first whose conditions hold counts.
/// <para>As with runc, a call that is newer than all the profile knows gets ENOSYS where the default is an error: C libraries
/// then try the older call. A call by another architecture's table (x32, i386) gets the default if that refuses, else ENOSYS.</para>
/// Source: runtime-spec config-linux.md, Seccomp; seccomp(2).
/// </summary>
internal static class SeccompCompiler
{
    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;
    private const uint ArgumentsOffset = 16;
    private const int ArgumentCount = 6;
    private const uint X32Bit = 0x40000000;
    private const uint EPERM = 1;
    private const uint ENOSYS = 38;

    /// <exception cref="TtrpcException">InvalidArgument: the profile says something that does not exist, or is too long.</exception>
    public static sock_filter[] Compile(SeccompSpec profile)
    {
        uint byDefault = ActionOf(profile.DefaultAction, profile.DefaultErrnoRet);
        SortedDictionary<int, List<Rule>> rules = Collect(profile);
        List<Segment> segments = Divide(rules, byDefault);

        var program = new BpfProgram();
        var foreign = new BpfLabel();
        program.Load(ArchitectureOffset);
        program.JumpIfNotEqual(LinuxSeccomp.AUDIT_ARCH_X86_64, foreign);
        program.Load(NumberOffset);
        program.JumpIfGreaterOrEqual(X32Bit, foreign);
        Emit(program, segments, 0, segments.Count, byDefault);
        program.Mark(foreign);
        bool refuses = (byDefault & ~LinuxSeccomp.SECCOMP_RET_DATA) is not (LinuxSeccomp.SECCOMP_RET_ALLOW or LinuxSeccomp.SECCOMP_RET_LOG or LinuxSeccomp.SECCOMP_RET_TRACE);
        program.Return(refuses ? byDefault : LinuxSeccomp.SECCOMP_RET_ERRNO | ENOSYS);
        return program.Assemble() ?? throw Invalid($"the profile needs more than {LinuxSeccomp.BPF_MAXINSNS} instructions");
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

    private static SortedDictionary<int, List<Rule>> Collect(SeccompSpec profile)
    {
        var rules = new SortedDictionary<int, List<Rule>>();
        foreach (SyscallSpec syscall in profile.Syscalls)
        {
            uint action = ActionOf(syscall.Action, syscall.ErrnoRet);
            List<Rule> alternatives = Alternatives(syscall.Args, action);
            foreach (string name in syscall.Names)
            {
                // A name of another architecture, or of a later kernel: nothing here can call it.
                if (!SyscallTable.Numbers.TryGetValue(name, out int number))
                {
                    continue;
                }

                if (!rules.TryGetValue(number, out List<Rule>? list))
                {
                    rules.Add(number, list = []);
                }

                list.AddRange(alternatives);
            }
        }

        return rules;
    }

    // Conditions on one argument twice cannot be meant to hold both: each is a rule of its own, as runc reads it.
    private static List<Rule> Alternatives(IReadOnlyList<SyscallArgumentSpec> conditions, uint action)
    {
        foreach (SyscallArgumentSpec condition in conditions)
        {
            if (condition.Index >= ArgumentCount)
            {
                throw Invalid($"argument {condition.Index} does not exist");
            }
        }

        bool repeated = conditions.Select(static condition => condition.Index).Distinct().Count() < conditions.Count;
        return repeated ? [.. conditions.Select(condition => new Rule([condition], action))] : [new Rule(conditions, action)];
    }

    private static List<Segment> Divide(SortedDictionary<int, List<Rule>> rules, uint byDefault)
    {
        List<Segment> segments = [];
        int next = 0;
        foreach ((int number, List<Rule> list) in rules)
        {
            if (number > next)
            {
                Add(new Segment(next, byDefault, null));
            }

            Add(list[0].Conditions.Count == 0 ? new Segment(number, list[0].Action, null) : new Segment(number, byDefault, list));
            next = number + 1;
        }

        bool tellsNewCalls = byDefault == (LinuxSeccomp.SECCOMP_RET_ERRNO | EPERM) && rules.Count > 0;
        Add(new Segment(next, tellsNewCalls ? LinuxSeccomp.SECCOMP_RET_ERRNO | ENOSYS : byDefault, null));
        return segments;

        void Add(Segment segment)
        {
            if (segments.Count == 0 || segment.Rules is not null || segments[^1].Rules is not null || segments[^1].Action != segment.Action)
            {
                segments.Add(segment);
            }
        }
    }

    private static void Emit(BpfProgram program, List<Segment> segments, int from, int to, uint byDefault)
    {
        if (to - from > 1)
        {
            int middle = (from + to) / 2;
            var right = new BpfLabel();
            program.JumpIfGreaterOrEqual((uint)segments[middle].Start, right);
            Emit(program, segments, from, middle, byDefault);
            program.Mark(right);
            Emit(program, segments, middle, to, byDefault);
            return;
        }

        foreach (Rule rule in segments[from].Rules ?? [])
        {
            var next = new BpfLabel();
            foreach (SyscallArgumentSpec condition in rule.Conditions)
            {
                EmitCondition(program, condition, next);
            }

            program.Return(rule.Action);
            program.Mark(next);
        }

        program.Return(segments[from].Action);
    }

    // Arguments have 64 bits and BPF 32: the upper half decides unless it is equal. The machine is little-endian.
    private static void EmitCondition(BpfProgram program, SyscallArgumentSpec condition, BpfLabel fail)
    {
        uint low = ArgumentsOffset + (condition.Index * 8);
        uint high = low + 4;
        (uint valueLow, uint valueHigh) = ((uint)condition.Value, (uint)(condition.Value >> 32));
        var pass = new BpfLabel();
        program.Load(high);
        switch (condition.Op)
        {
            case "SCMP_CMP_EQ":
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfNotEqual(valueLow, fail);
                break;
            case "SCMP_CMP_NE":
                program.JumpIfNotEqual(valueHigh, pass);
                program.Load(low);
                program.JumpIfEqual(valueLow, fail);
                break;
            case "SCMP_CMP_GT":
                program.JumpIfGreater(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreater(valueLow, pass);
                program.Jump(fail);
                break;
            case "SCMP_CMP_GE":
                program.JumpIfGreater(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfLess(valueLow, fail);
                break;
            case "SCMP_CMP_LT":
                program.JumpIfLess(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreaterOrEqual(valueLow, fail);
                break;
            case "SCMP_CMP_LE":
                program.JumpIfLess(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreater(valueLow, fail);
                break;
            case "SCMP_CMP_MASKED_EQ":
                ulong wanted = condition.ValueTwo & condition.Value;
                program.And(valueHigh);
                program.JumpIfNotEqual((uint)(wanted >> 32), fail);
                program.Load(low);
                program.And(valueLow);
                program.JumpIfNotEqual((uint)wanted, fail);
                break;
            default:
                throw Invalid($"\"{condition.Op}\" is no comparison");
        }

        program.Mark(pass);
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

    private sealed record Rule(IReadOnlyList<SyscallArgumentSpec> Conditions, uint Action);

    /// <summary>System calls from a number to the next segment's: one action, or that one after rules.</summary>
    private sealed record Segment(int Start, uint Action, List<Rule>? Rules);
}
