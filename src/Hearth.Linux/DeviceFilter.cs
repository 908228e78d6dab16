using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A rule of <see cref="DeviceFilter"/>.</summary>
/// <param name="Allow">What it says.</param>
/// <param name="Type"><c>BPF_DEVCG_DEV_*</c>; null for both.</param>
/// <param name="Major">Null for any.</param>
/// <param name="Minor">Null for any.</param>
/// <param name="Access"><c>BPF_DEVCG_ACC_*</c>.</param>
public readonly record struct DeviceRule(bool Allow, int? Type, int? Major, int? Minor, int Access);

/// <summary>
/// Which devices the processes of a cgroup may open and make: a BPF program made of rules, of which the last that matches
/// counts; what none matches is allowed. Thread: any. Source: cgroup-v2.rst, Device controller; linux/bpf.h.
/// </summary>
public static unsafe class DeviceFilter
{
    // Of the eBPF instruction set: class, operation and source in one byte.
    private const byte LoadWord = 0x61;
    private const byte MoveRegister = 0xbf;
    private const byte MoveConstant = 0xb7;
    private const byte AndConstant = 0x57;
    private const byte ShiftRightConstant = 0x77;
    private const byte JumpIfNotEqual = 0x55;
    private const byte JumpIfEqual = 0x15;
    private const byte Exit = 0x95;

    private const int Result = 0;
    private const int Context = 1;
    private const int Type = 2;
    private const int Access = 3;
    private const int Major = 4;
    private const int Minor = 5;
    private const int Scratch = 6;
    private const int AllAccess = LinuxBpf.BPF_DEVCG_ACC_MKNOD | LinuxBpf.BPF_DEVCG_ACC_READ | LinuxBpf.BPF_DEVCG_ACC_WRITE;

    /// <summary>Puts the rules in force, for as long as the cgroup is there.</summary>
    /// <exception cref="LinuxException">The kernel has no BPF for cgroups, or this process may not use it.</exception>
    public static void Attach(FileDescriptor cgroup, IReadOnlyList<DeviceRule> rules)
    {
        using FileDescriptor program = Load([.. Compile(rules)]);
        var attach = new AttachAttribute
        {
            TargetFd = (uint)cgroup.Number,
            ProgramFd = (uint)program.Number,
            Type = LinuxBpf.BPF_CGROUP_DEVICE,
            Flags = LinuxBpf.BPF_F_ALLOW_MULTI,
        };
        // SAFETY: the attribute lives on this stack for the whole call and is as long as its size says.
        if (SysSyscall.syscall(SysSyscall.SYS_bpf, LinuxBpf.BPF_PROG_ATTACH, (nint)(&attach), sizeof(AttachAttribute), 0, 0) < 0)
        {
            throw LinuxException.Last("bpf(BPF_PROG_ATTACH)");
        }
    }

    private static List<bpf_insn> Compile(IReadOnlyList<DeviceRule> rules)
    {
        // struct bpf_cgroup_dev_ctx: access in the upper half and type in the lower of the first word, then major and minor.
        List<bpf_insn> code =
        [
            Instruction(LoadWord, Type, Context, 0, 0),
            Instruction(LoadWord, Major, Context, 4, 0),
            Instruction(LoadWord, Minor, Context, 8, 0),
            Instruction(MoveRegister, Access, Type, 0, 0),
            Instruction(ShiftRightConstant, Access, 0, 0, 16),
            Instruction(AndConstant, Type, 0, 0, 0xffff),
        ];
        for (int i = rules.Count - 1; i >= 0; i--)
        {
            DeviceRule rule = rules[i];
            List<bpf_insn> tests = [];
            Test(tests, Type, rule.Type);
            Test(tests, Major, rule.Major);
            Test(tests, Minor, rule.Minor);
            // Leave must cover all that is asked for; refusal, any of it.
            tests.Add(Instruction(MoveRegister, Scratch, Access, 0, 0));
            tests.Add(Instruction(AndConstant, Scratch, 0, 0, rule.Allow ? AllAccess & ~rule.Access : rule.Access));
            tests.Add(Instruction(rule.Allow ? JumpIfNotEqual : JumpIfEqual, Scratch, 0, 0, 0));
            // Each test that fails leads past the two instructions that answer.
            for (int at = 0; at < tests.Count; at++)
            {
                code.Add(tests[at] with { off = tests[at].code is JumpIfNotEqual or JumpIfEqual ? (short)(tests.Count - at + 1) : (short)0 });
            }

            code.Add(Instruction(MoveConstant, Result, 0, 0, rule.Allow ? 1 : 0));
            code.Add(Instruction(Exit, 0, 0, 0, 0));
        }

        code.Add(Instruction(MoveConstant, Result, 0, 0, 1));
        code.Add(Instruction(Exit, 0, 0, 0, 0));
        return code;
    }

    private static void Test(List<bpf_insn> tests, int register, int? value)
    {
        if (value is { } wanted)
        {
            tests.Add(Instruction(JumpIfNotEqual, register, 0, 0, wanted));
        }
    }

    private static bpf_insn Instruction(byte code, int destination, int source, short offset, int constant) =>
        new() { code = code, registers = (byte)(destination | (source << 4)), off = offset, imm = constant };

    private static FileDescriptor Load(ReadOnlySpan<bpf_insn> code)
    {
        // SAFETY: both are pinned until the call is over: the kernel copies the code, and reads the constant with its zero.
        fixed (bpf_insn* instructions = code)
        fixed (byte* license = "Apache-2.0"u8)
        {
            var load = new LoadAttribute
            {
                Type = LinuxBpf.BPF_PROG_TYPE_CGROUP_DEVICE,
                Count = (uint)code.Length,
                Instructions = (ulong)instructions,
                License = (ulong)license,
            };
            // SAFETY: the attribute lives on this stack for the whole call and is as long as its size says.
            long fd = SysSyscall.syscall(SysSyscall.SYS_bpf, LinuxBpf.BPF_PROG_LOAD, (nint)(&load), sizeof(LoadAttribute), 0, 0);
            return fd >= 0 ? new FileDescriptor((int)fd) : throw LinuxException.Last("bpf(BPF_PROG_LOAD)");
        }
    }

    /// <summary>The beginning of union bpf_attr for BPF_PROG_LOAD; what follows is zero to the kernel.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LoadAttribute
    {
        public uint Type;
        public uint Count;
        public ulong Instructions;
        public ulong License;
        public uint LogLevel;
        public uint LogSize;
        public ulong LogBuffer;
        public uint KernelVersion;
        public uint Flags;
    }

    /// <summary>The beginning of union bpf_attr for BPF_PROG_ATTACH.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AttachAttribute
    {
        public uint TargetFd;
        public uint ProgramFd;
        public uint Type;
        public uint Flags;
    }
}
