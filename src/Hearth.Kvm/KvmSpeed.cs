using System.Diagnostics;
using Hearth.Kvm.Native;
using Hearth.Linux;

namespace Hearth.Kvm;

/// <summary>
/// How fast a guest's kernel code runs. Some hosts' /dev/kvm has no hardware behind it and interprets each instruction, hundreds of
/// nanoseconds apiece: all calls work, and no stock kernel boots in useful time. Only a clock tells.
/// </summary>
public static unsafe class KvmSpeed
{
    /// <summary>What is run: a loop of two instructions in real mode, CPL 0.</summary>
    public const int Instructions = 10_000;

    /// <summary>Above this, no hardware runs the guest. Interpreters take 500 and more, hardware under one, an emulated machine some ten.</summary>
    public const double InterpretedNanoseconds = 150;

    private const ulong CodeAddress = 0x1000;
    private const ulong MemoryBytes = 0x10000;
    private const int Attempts = 3;

    /// <summary>Runs the loop a few times.</summary>
    /// <returns>Nanoseconds an instruction, of the fastest attempt.</returns>
    /// <exception cref="KvmException">There is no usable KVM.</exception>
    public static double Measure()
    {
        // mov cx,5000; dec cx; jnz back; out 0x80,al
        ReadOnlySpan<byte> code = [0xb9, 0x88, 0x13, 0x49, 0x75, 0xfd, 0xe6, 0x80];
        using var kvm = KvmSystem.Open();
        using KvmVm vm = kvm.CreateVm();
        using var memory = MemoryMapping.Anonymous(MemoryBytes);
        // SAFETY: the mapping has MemoryBytes, of which the code takes eight at CodeAddress, and lives until the VM is gone.
        code.CopyTo(new Span<byte>(memory.Address + CodeAddress, code.Length));
        vm.SetTssAddress(0xfffbd000);
        vm.SetIdentityMapAddress(0xfffbc000);
        vm.CreateIrqChip();
        vm.SetUserMemoryRegion(0, 0, MemoryBytes, memory.AddressValue);
        using KvmVcpu vcpu = vm.CreateVcpu(0);
        kvm_sregs segments = vcpu.GetSregs();
        segments.cs.@base = 0;
        segments.cs.selector = 0;
        vcpu.SetSregs(segments);

        double best = double.MaxValue;
        for (int i = 0; i < Attempts; i++)
        {
            vcpu.SetRegs(new kvm_regs { rip = CodeAddress, rflags = 2 });
            long start = Stopwatch.GetTimestamp();
            VcpuExit exit;
            do
            {
                exit = vcpu.Run();
            }
            while (exit == VcpuExit.Interrupted);
            double nanoseconds = Stopwatch.GetElapsedTime(start).TotalNanoseconds;
            if (exit != VcpuExit.Port)
            {
                throw new HearthException($"A guest of four instructions ended with {vcpu.DescribeFailure(exit)}. This /dev/kvm cannot run guests.");
            }

            best = Math.Min(best, nanoseconds / Instructions);
            // The next KVM_RUN finishes the port access before anything else.
            vcpu.RequestImmediateExit();
            _ = vcpu.Run();
            vcpu.ClearImmediateExit();
        }

        return best;
    }
}
