using Hearth.Kvm;
using Hearth.Kvm.Native;
using Hearth.Legacy;
using Hearth.Platform.Memory;
using Hearth.Virtio;
using Hearth.Vmm.Acpi;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Boot;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Cpu;
using Hearth.Vmm.Devices;
using Hearth.Vmm.Sandbox;
using Hearth.Vmm.Telemetry;
using Hearth.Vmm.Vcpus;

namespace Hearth.Vmm.Machines;

/// <summary>
/// Builds and starts a microVM, in this order: KVM and memory, the kernel and initrd, interrupt controllers, devices,
/// what the kernel is told (command line, tables), vCPUs. Whatever fails, all that came before is given back.
/// Thread: the API thread.
/// </summary>
public sealed class MachineBuilder : IMachineBuilder
{
    private readonly ProcessExit _exit;
    private readonly Action<string> _log;

    /// <param name="exit">Told when the guest ends.</param>
    /// <param name="log">Takes one sentence about the machine's life.</param>
    public MachineBuilder(ProcessExit exit, Action<string> log)
    {
        _exit = exit;
        _log = log;
    }

    public IVirtualMachine Build(VmResources resources)
    {
        BootInstant requested = BootInstant.Now();
        MachineConfig config = resources.Machine;
        BootSourceConfig boot = resources.BootSource ?? throw new ConfigurationException("No kernel was given: PUT /boot-source first.");
        HostMemory.Check(config.MemSizeMib);
        using KvmSystem kvm = KvmSystem.Open();
        if (config.VcpuCount > kvm.MaxVcpus)
        {
            throw new ConfigurationException($"This host's KVM gives a VM at most {kvm.MaxVcpus} vCPUs, and vcpu_count is {config.VcpuCount}. Lower vcpu_count.");
        }

        GuestMemory? memory = null;
        KvmVm? vm = null;
        Machine? machine = null;
        try
        {
            bool isShared = resources.Devices<IDeviceConfig>().Any(static device => device.NeedsSharedMemory);
            memory = GuestMemory.Create(config.MemSizeMib << 20, isShared ? GuestMemoryBacking.SharedMemfd : GuestMemoryBacking.Anonymous, config.HugePages);
            LoadedKernel kernel = KernelLoader.LoadKernel(memory, boot.KernelImagePath);
            LoadedInitrd? initrd = boot.InitrdPath is null ? null : KernelLoader.LoadInitrd(memory, boot.InitrdPath, kernel);
            vm = CreateVm(kvm, memory);
            machine = new Machine(vm, memory, _exit, resources.Metrics, _log) { Sandbox = SandboxOf(resources.Options) };
            AddDevices(machine, resources, requested);
            TellKernel(machine, resources, kernel, initrd);
            AddVcpus(machine, kvm, config, kernel);
            machine.Start(resources.Log.OwnFile);
            resources.Metrics.AddMachine([machine.Legacy!.Keyboard.Metrics, machine.Legacy.Serial.Metrics], () => DeviceCatalog.Metrics(machine.Devices));
            return machine;
        }
        catch
        {
            if (machine is not null)
            {
                machine.Dispose();
            }
            else
            {
                vm?.Dispose();
                memory?.Dispose();
            }

            throw;
        }
    }

    private static ThreadSandbox? SandboxOf(InstanceOptions options) =>
        options.NoSeccomp ? null : new ThreadSandbox(options.SeccompFilter ?? SandboxPolicy.Compile());

    private static KvmVm CreateVm(KvmSystem kvm, GuestMemory memory)
    {
        KvmVm vm = kvm.CreateVm();
        try
        {
            vm.SetIdentityMapAddress(MemoryLayout.IdentityMap);
            vm.SetTssAddress(MemoryLayout.TaskState);
            vm.CreateIrqChip();
            vm.CreatePit2();
            uint slot = 0;
            foreach (GuestMemoryRegion region in memory.Regions)
            {
                vm.SetUserMemoryRegion(slot++, region.Base.Value, region.LengthBytes, region.Mapping.AddressValue);
            }

            return vm;
        }
        catch
        {
            vm.Dispose();
            throw;
        }
    }

    private void AddDevices(Machine machine, VmResources resources, BootInstant requested)
    {
        machine.Legacy = new LegacyDevices(
            machine.Vm,
            machine.Ports,
            machine.Loop,
            resources.Serial.SerialOutPath,
            () => ((IVcpuOwner)machine).OnMachineExit(MachineExit.GuestStopped, "the guest reset itself"));
        machine.Ports.Insert(
            SleepRegisters.ControlPort,
            SleepRegisters.PortCount,
            new SleepRegisters(() => ((IVcpuOwner)machine).OnMachineExit(MachineExit.GuestStopped, "the guest powered off")));

        if (resources.Options.BootTimer)
        {
            machine.Mmio.Insert(MemoryLayout.BootTimerMmio, BootTimer.LengthBytes, new BootTimer(requested, _log));
        }

        var warnings = new LimitedLog(_log);
        foreach (VirtioDevice device in DeviceCatalog.Create(resources))
        {
            device.Warning = warnings.Write;
            machine.Devices.Attach(device);
        }
    }

    private static void TellKernel(Machine machine, VmResources resources, LoadedKernel kernel, LoadedInitrd? initrd)
    {
        var line = new KernelCommandLine(resources.BootSource!.BootArgs);
        line.Add("pci=off");
        foreach (string argument in DeviceCatalog.KernelArguments(resources))
        {
            line.Add(argument);
        }

        foreach (VirtioMmioSlot slot in machine.Devices.Slots)
        {
            line.AddVirtioMmio(slot);
        }

        GuestMemory memory = machine.Memory;
        MpTable.Write(memory, resources.Machine.VcpuCount);
        GuestAddress rsdp = AcpiTables.Write(memory, resources.Machine.VcpuCount, machine.Devices.Slots);
        BootParameters.Write(memory, new BootInformation(kernel, initrd, line.ToBytes(), rsdp));
        BootState.WriteTables(memory, kernel.Protocol);
        ResetVector.Write(memory);
    }

    private static void AddVcpus(Machine machine, KvmSystem kvm, MachineConfig config, LoadedKernel kernel)
    {
        kvm_cpuid_entry2[] supported = kvm.GetSupportedCpuid();
        bool tscDeadline = kvm.CheckExtension(KvmCaps.KVM_CAP_TSC_DEADLINE_TIMER) > 0;
        for (int id = 0; id < config.VcpuCount; id++)
        {
            KvmVcpu vcpu = machine.Vm.CreateVcpu(id);
            machine.AddVcpu(vcpu);
            BootState.Configure(vcpu, kernel, CpuidFilter.Apply(supported, id, config.VcpuCount, config.Smt, tscDeadline));
        }
    }
}
