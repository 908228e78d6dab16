using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/bpf.h: programs of the device controller of cgroups.</summary>
public static class LinuxBpf
{
    public const int BPF_PROG_LOAD = 5;
    public const int BPF_PROG_ATTACH = 8;
    public const uint BPF_PROG_TYPE_CGROUP_DEVICE = 15;
    public const uint BPF_CGROUP_DEVICE = 6;
    public const uint BPF_F_ALLOW_MULTI = 2;
    public const int BPF_DEVCG_ACC_MKNOD = 1;
    public const int BPF_DEVCG_ACC_READ = 2;
    public const int BPF_DEVCG_ACC_WRITE = 4;
    public const int BPF_DEVCG_DEV_BLOCK = 1;
    public const int BPF_DEVCG_DEV_CHAR = 2;
}

/// <summary>struct bpf_insn; the two registers are halves of one byte.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct bpf_insn
{
    public byte code;
    public byte registers;
    public short off;
    public int imm;
}
