using System.Buffers.Binary;
using System.Globalization;
using CsCheck;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;
using Hearth.Oci.Runtime;
using Hearth.Programs.Agent.Seccomp;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>Compiled profiles, run by an interpreter of classic BPF, against what the profile says.</summary>
public sealed class SeccompCompilerTests
{
    private const uint Allow = LinuxSeccomp.SECCOMP_RET_ALLOW;
    private const uint Errno = LinuxSeccomp.SECCOMP_RET_ERRNO;

    private static readonly string[] s_names = ["read", "write", "open", "clone", "personality", "socket", "openat2", "mseal", "no_such_call"];
    private static readonly string[] s_operators =
        ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_MASKED_EQ"];

    // Few values, so that equality happens, and halves that differ in one half only.
    private static readonly Gen<ulong> s_values = Gen.OneOf<ulong>(0ul, 1ul, 2ul, 0xfffffffful, 0x1_0000_0000, 0x1_0000_0001, 0x8000_0000_0000_0000, ulong.MaxValue);

    private static readonly Gen<SyscallArgumentSpec> s_conditions = Gen.Select(Gen.UInt[0, 5], s_values, s_values, Gen.OneOf(s_operators),
        static (index, value, second, op) => new SyscallArgumentSpec { Index = index, Value = value, ValueTwo = second, Op = op });

    private static readonly Gen<SyscallSpec> s_rules = Gen.Select(
        Gen.OneOf(s_names).Array[1, 4], Gen.OneOf("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"), Gen.UInt[1, 100], s_conditions.Array[0, 3],
        static (names, action, errno, conditions) => new SyscallSpec { Names = names, Action = action, ErrnoRet = errno, Args = conditions });

    private static readonly Gen<SeccompSpec> s_profiles = Gen.Select(
        s_rules.Array[0, 8], Gen.OneOf("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"),
        static (rules, action) => new SeccompSpec { DefaultAction = action, DefaultErrnoRet = 13, Syscalls = rules });

    [Fact]
    public void A_compiled_profile_answers_as_the_profile_says() =>
        Gen.Select(s_profiles, Gen.OneOf(s_names), s_values.Array[6]).Sample(static (profile, name, arguments) =>
        {
            int number = SyscallTable.Numbers.GetValueOrDefault(name, 300);
            Assert.Equal(Expected(profile, name, arguments), Run(SeccompCompiler.Compile(profile), (uint)number, arguments));
        }, iter: 5000);

    [Fact]
    public void Numbers_between_named_ones_get_the_default()
    {
        sock_filter[] filter = SeccompCompiler.Compile(Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", "read", "close", "mseal")));

        Assert.Equal((Allow, Errno | 1, Allow), (Run(filter, 0), Run(filter, 1), Run(filter, 3)));
        Assert.Equal(Errno | 1, Run(filter, 461));
    }

    [Fact]
    public void Calls_newer_than_the_profile_do_not_exist_for_it()
    {
        sock_filter[] filter = SeccompCompiler.Compile(Profile("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", "openat2")));

        Assert.Equal((Errno | 1, Allow, Errno | 38), (Run(filter, 436), Run(filter, 437), Run(filter, 438)));
    }

    [Theory]
    [InlineData("SCMP_ACT_ERRNO", Errno | 1)]
    [InlineData("SCMP_ACT_ALLOW", Errno | 38)]
    [InlineData("SCMP_ACT_LOG", Errno | 38)]
    [InlineData("SCMP_ACT_KILL_PROCESS", LinuxSeccomp.SECCOMP_RET_KILL_PROCESS)]
    public void Another_architectures_calls_never_pass(string byDefault, uint expected)
    {
        sock_filter[] filter = SeccompCompiler.Compile(Profile(byDefault, Rule("SCMP_ACT_ALLOW", "read")));

        Assert.Equal(expected, Run(filter, 0, architecture: 0x40000003));
        Assert.Equal(expected, Run(filter, 0x40000000));
    }

    [Fact]
    public void The_table_has_the_kernels_numbers()
    {
        const string header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
        Assert.SkipUnless(File.Exists(header), "needs the Debian package linux-libc-dev");

        Dictionary<string, int> numbers = File.ReadLines(header)
            .Where(static line => line.StartsWith("#define __NR_", StringComparison.Ordinal))
            .Select(static line => line["#define __NR_".Length..].Split(' '))
            .ToDictionary(static parts => parts[0], static parts => int.Parse(parts[1], CultureInfo.InvariantCulture));

        Assert.True(numbers.Count > 350);
        Assert.All(numbers, static pair => Assert.Equal(pair.Value, SyscallTable.Numbers.GetValueOrDefault(pair.Key, -1)));
    }

    [Theory]
    [InlineData("SCMP_ACT_NOTIFY", "SCMP_CMP_EQ", 0u)]
    [InlineData("SCMP_ACT_ALLOW", "SCMP_CMP_ALMOST", 0u)]
    [InlineData("SCMP_ACT_ALLOW", "SCMP_CMP_EQ", 6u)]
    public void What_does_not_exist_is_refused(string action, string op, uint index)
    {
        var rule = new SyscallSpec { Names = ["read"], Action = action, Args = [new SyscallArgumentSpec { Index = index, Op = op }] };

        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<TtrpcException>(() => SeccompCompiler.Compile(Profile("SCMP_ACT_ALLOW", rule))).Code);
    }

    [Fact]
    public void A_profile_that_is_too_long_is_refused()
    {
        var condition = new SyscallArgumentSpec { Index = 0, Op = "SCMP_CMP_GT", Value = 1 };
        IEnumerable<SyscallSpec> rules = Enumerable.Repeat(new SyscallSpec { Names = ["read"], Action = "SCMP_ACT_LOG", Args = [condition] }, 1000);

        Assert.Contains("4096", Assert.Throws<TtrpcException>(() => SeccompCompiler.Compile(Profile("SCMP_ACT_ALLOW", [.. rules]))).Message, StringComparison.Ordinal);
    }

    private static SeccompSpec Profile(string byDefault, params SyscallSpec[] rules) => new() { DefaultAction = byDefault, Syscalls = rules };

    private static SyscallSpec Rule(string action, params string[] names) => new() { Names = names, Action = action };

    private static uint Expected(SeccompSpec profile, string name, ulong[] arguments)
    {
        foreach (SyscallSpec rule in profile.Syscalls.Where(rule => rule.Names.Contains(name) && SyscallTable.Numbers.ContainsKey(name)))
        {
            bool repeated = rule.Args.DistinctBy(static condition => condition.Index).Count() < rule.Args.Count;
            if (repeated ? rule.Args.Any(condition => Holds(condition, arguments)) : rule.Args.All(condition => Holds(condition, arguments)))
            {
                return Action(rule.Action, rule.ErrnoRet!.Value);
            }
        }

        return Action(profile.DefaultAction, profile.DefaultErrnoRet!.Value);
    }

    private static uint Action(string action, uint errno) => action switch
    {
        "SCMP_ACT_ALLOW" => Allow,
        "SCMP_ACT_ERRNO" => Errno | errno,
        "SCMP_ACT_LOG" => LinuxSeccomp.SECCOMP_RET_LOG,
        _ => LinuxSeccomp.SECCOMP_RET_KILL_PROCESS,
    };

    private static bool Holds(SyscallArgumentSpec condition, ulong[] arguments)
    {
        ulong argument = arguments[condition.Index];
        return condition.Op switch
        {
            "SCMP_CMP_EQ" => argument == condition.Value,
            "SCMP_CMP_NE" => argument != condition.Value,
            "SCMP_CMP_GT" => argument > condition.Value,
            "SCMP_CMP_GE" => argument >= condition.Value,
            "SCMP_CMP_LT" => argument < condition.Value,
            "SCMP_CMP_LE" => argument <= condition.Value,
            _ => (argument & condition.Value) == (condition.ValueTwo & condition.Value),
        };
    }

    private static uint Run(sock_filter[] program, uint number, ulong[]? arguments = null, uint architecture = LinuxSeccomp.AUDIT_ARCH_X86_64)
    {
        byte[] data = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(data, number);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), architecture);
        for (int i = 0; i < 6; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(16 + (8 * i)), arguments?[i] ?? 0);
        }

        uint accumulator = 0;
        int at = 0;
        while (true)
        {
            sock_filter instruction = program[at++];
            switch (instruction.code)
            {
                case LinuxSeccomp.BPF_LD | LinuxSeccomp.BPF_W | LinuxSeccomp.BPF_ABS:
                    accumulator = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)instruction.k));
                    break;
                case LinuxSeccomp.BPF_ALU | LinuxSeccomp.BPF_AND:
                    accumulator &= instruction.k;
                    break;
                case LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JA:
                    at += (int)instruction.k;
                    break;
                case LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JEQ:
                    at += accumulator == instruction.k ? instruction.jt : instruction.jf;
                    break;
                case LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JGT:
                    at += accumulator > instruction.k ? instruction.jt : instruction.jf;
                    break;
                case LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JGE:
                    at += accumulator >= instruction.k ? instruction.jt : instruction.jf;
                    break;
                case LinuxSeccomp.BPF_RET:
                    return instruction.k;
                default:
                    throw new InvalidOperationException($"Instruction {instruction.code:x}.");
            }
        }
    }
}
