using Hearth.Linux.Native;

namespace Hearth.Linux.Seccomp;

/// <summary>
/// Makes a BPF program of rules: a search tree over the numbers of system calls, whose leaves are an action or a list of
/// conditions. Of several rules for one call, the first whose conditions hold counts. Source: seccomp(2).
/// </summary>
public static class FilterCompiler
{
    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;
    private const uint ArgumentsOffset = 16;
    private const uint X32Bit = 0x40000000;

    /// <param name="rules">In any order, but for those of one call.</param>
    /// <param name="byDefault">The action for calls without a rule that holds.</param>
    /// <param name="newer">The action for calls with higher numbers than any rule has.</param>
    /// <param name="foreign">The action for calls by another architecture's table (x32, i386).</param>
    /// <returns>Null if it needs more instructions than the kernel takes.</returns>
    public static sock_filter[]? Compile(IEnumerable<FilterRule> rules, uint byDefault, uint newer, uint foreign)
    {
        var byNumber = new SortedDictionary<int, List<FilterRule>>();
        foreach (FilterRule rule in rules)
        {
            if (!byNumber.TryGetValue(rule.Number, out List<FilterRule>? list))
            {
                byNumber.Add(rule.Number, list = []);
            }

            list.Add(rule);
        }

        List<Segment> segments = Divide(byNumber, byDefault, newer);
        var program = new BpfProgram();
        var elsewhere = new BpfLabel();
        program.Load(ArchitectureOffset);
        program.JumpIfNotEqual(LinuxSeccomp.AUDIT_ARCH_X86_64, elsewhere);
        program.Load(NumberOffset);
        program.JumpIfGreaterOrEqual(X32Bit, elsewhere);
        Emit(program, segments, 0, segments.Count, byDefault);
        program.Mark(elsewhere);
        program.Return(foreign);
        return program.Assemble();
    }

    /// <summary>
    /// A filter that lets everything through but the named calls, which fail as without the right to them. Calls by i386's or x32's
    /// numbers would go round it, and fail too.
    /// </summary>
    /// <param name="calls">Names; clone3 fails as one that there is not, so that libc takes clone.</param>
    public static sock_filter[]? Refuse(IEnumerable<string> calls)
    {
        const uint refusal = LinuxSeccomp.SECCOMP_RET_ERRNO | (uint)Errno.EPERM;
        const uint missing = LinuxSeccomp.SECCOMP_RET_ERRNO | (uint)Errno.ENOSYS;
        IEnumerable<FilterRule> rules = calls.Select(static name => new FilterRule(SyscallTable.NumberOf(name), [], name == "clone3" ? missing : refusal));
        return Compile(rules, LinuxSeccomp.SECCOMP_RET_ALLOW, LinuxSeccomp.SECCOMP_RET_ALLOW, refusal);
    }

    private static List<Segment> Divide(SortedDictionary<int, List<FilterRule>> rules, uint byDefault, uint newer)
    {
        List<Segment> segments = [];
        int next = 0;
        foreach ((int number, List<FilterRule> list) in rules)
        {
            if (number > next)
            {
                Add(new Segment(next, byDefault, null));
            }

            Add(list[0].Checks.Count == 0 ? new Segment(number, list[0].Action, null) : new Segment(number, byDefault, list));
            next = number + 1;
        }

        Add(new Segment(next, newer, null));
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

        foreach (FilterRule rule in segments[from].Rules ?? [])
        {
            var next = new BpfLabel();
            foreach (ArgumentCheck check in rule.Checks)
            {
                EmitCheck(program, check, next);
            }

            program.Return(rule.Action);
            program.Mark(next);
        }

        program.Return(segments[from].Action);
    }

    // Arguments have 64 bits and BPF 32: the upper half decides unless it is equal. The machine is little-endian.
    private static void EmitCheck(BpfProgram program, ArgumentCheck check, BpfLabel fail)
    {
        uint low = ArgumentsOffset + (check.Index * 8);
        uint high = low + 4;
        (uint valueLow, uint valueHigh) = ((uint)check.Value, (uint)(check.Value >> 32));
        (uint maskLow, uint maskHigh) = ((uint)check.Mask, (uint)(check.Mask >> 32));
        var pass = new BpfLabel();
        if (check.Is32Bit)
        {
            EmitLowCheck(program, check.Comparison, low, valueLow, maskLow, fail);
            return;
        }

        program.Load(high);
        switch (check.Comparison)
        {
            case ArgumentComparison.Equal:
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfNotEqual(valueLow, fail);
                break;
            case ArgumentComparison.NotEqual:
                program.JumpIfNotEqual(valueHigh, pass);
                program.Load(low);
                program.JumpIfEqual(valueLow, fail);
                break;
            case ArgumentComparison.Greater:
                program.JumpIfGreater(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreater(valueLow, pass);
                program.Jump(fail);
                break;
            case ArgumentComparison.GreaterOrEqual:
                program.JumpIfGreater(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfLess(valueLow, fail);
                break;
            case ArgumentComparison.Less:
                program.JumpIfLess(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreaterOrEqual(valueLow, fail);
                break;
            case ArgumentComparison.LessOrEqual:
                program.JumpIfLess(valueHigh, pass);
                program.JumpIfNotEqual(valueHigh, fail);
                program.Load(low);
                program.JumpIfGreater(valueLow, fail);
                break;
            case ArgumentComparison.MaskedEqual:
                ulong wanted = check.Value & check.Mask;
                program.And(maskHigh);
                program.JumpIfNotEqual((uint)(wanted >> 32), fail);
                program.Load(low);
                program.And(maskLow);
                program.JumpIfNotEqual((uint)wanted, fail);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(check));
        }

        program.Mark(pass);
    }

    // Of the lower half only.
    private static void EmitLowCheck(BpfProgram program, ArgumentComparison comparison, uint offset, uint value, uint mask, BpfLabel fail)
    {
        program.Load(offset);
        switch (comparison)
        {
            case ArgumentComparison.Equal:
                program.JumpIfNotEqual(value, fail);
                break;
            case ArgumentComparison.NotEqual:
                program.JumpIfEqual(value, fail);
                break;
            case ArgumentComparison.Greater:
                var greater = new BpfLabel();
                program.JumpIfGreater(value, greater);
                program.Jump(fail);
                program.Mark(greater);
                break;
            case ArgumentComparison.GreaterOrEqual:
                program.JumpIfLess(value, fail);
                break;
            case ArgumentComparison.Less:
                program.JumpIfGreaterOrEqual(value, fail);
                break;
            case ArgumentComparison.LessOrEqual:
                program.JumpIfGreater(value, fail);
                break;
            default:
                program.And(mask);
                program.JumpIfNotEqual(value & mask, fail);
                break;
        }
    }

    /// <summary>System calls from a number to the next segment's: one action, or that one after rules.</summary>
    private sealed record Segment(int Start, uint Action, List<FilterRule>? Rules);
}
