using Hearth.Linux.Native;

namespace Hearth.Linux.Seccomp;

/// <summary>A place in a program that is not known yet.</summary>
internal sealed class BpfLabel
{
    public int Position { get; set; } = -1;
}

/// <summary>
/// Classic BPF with labels. A conditional jump reaches 255 instructions only, so each branch to a label is a jump over an
/// unconditional one, which reaches all of them. Source: linux/filter.h.
/// </summary>
internal sealed class BpfProgram
{
    private readonly List<(sock_filter Instruction, BpfLabel? Target)> _code = [];

    /// <summary>Loads 32 bits of struct seccomp_data.</summary>
    public void Load(uint offset) => Emit(LinuxSeccomp.BPF_LD | LinuxSeccomp.BPF_W | LinuxSeccomp.BPF_ABS, offset);

    public void And(uint mask) => Emit(LinuxSeccomp.BPF_ALU | LinuxSeccomp.BPF_AND | LinuxSeccomp.BPF_K, mask);

    public void Return(uint value) => Emit(LinuxSeccomp.BPF_RET | LinuxSeccomp.BPF_K, value);

    public void Jump(BpfLabel target) => Emit(LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JA, 0, target: target);

    public void JumpIfEqual(uint value, BpfLabel target) => Branch(LinuxSeccomp.BPF_JEQ, value, target, jumpIf: true);

    public void JumpIfNotEqual(uint value, BpfLabel target) => Branch(LinuxSeccomp.BPF_JEQ, value, target, jumpIf: false);

    public void JumpIfGreater(uint value, BpfLabel target) => Branch(LinuxSeccomp.BPF_JGT, value, target, jumpIf: true);

    public void JumpIfGreaterOrEqual(uint value, BpfLabel target) => Branch(LinuxSeccomp.BPF_JGE, value, target, jumpIf: true);

    public void JumpIfLess(uint value, BpfLabel target) => Branch(LinuxSeccomp.BPF_JGE, value, target, jumpIf: false);

    public void Mark(BpfLabel label) => label.Position = _code.Count;

    /// <summary>The finished program; null if it has more instructions than the kernel takes.</summary>
    public sock_filter[]? Assemble()
    {
        if (_code.Count > LinuxSeccomp.BPF_MAXINSNS)
        {
            return null;
        }

        var program = new sock_filter[_code.Count];
        for (int i = 0; i < program.Length; i++)
        {
            (program[i], BpfLabel? target) = _code[i];
            if (target is not null)
            {
                program[i].k = checked((uint)(target.Position - i - 1));
            }
        }

        return program;
    }

    private void Branch(ushort condition, uint value, BpfLabel target, bool jumpIf)
    {
        // Over the jump that follows where the branch is not taken.
        Emit((ushort)(LinuxSeccomp.BPF_JMP | condition | LinuxSeccomp.BPF_K), value, jt: (byte)(jumpIf ? 0 : 1), jf: (byte)(jumpIf ? 1 : 0));
        Jump(target);
    }

    private void Emit(int code, uint k, byte jt = 0, byte jf = 0, BpfLabel? target = null) =>
        _code.Add((new sock_filter { code = (ushort)code, jt = jt, jf = jf, k = k }, target));
}
