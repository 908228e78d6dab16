namespace Hearth.Vmm.Vcpus;

/// <summary>How a machine ends.</summary>
public enum MachineExit
{
    /// <summary>The guest powered off, rebooted or halted for good: exit code 0.</summary>
    GuestStopped,

    /// <summary>The host or KVM could not go on: exit code 1.</summary>
    HostFailure,
}

/// <summary>Whoever runs vCPUs and must hear when one cannot go on. Thread: called on a vCPU thread.</summary>
public interface IVcpuOwner
{
    /// <summary>The machine is over. Later calls are ignored.</summary>
    void OnMachineExit(MachineExit exit, string reason);

    /// <summary>The guest touched a port or an address that no device has.</summary>
    void OnUnclaimedAccess(ulong address, bool isPort, bool isWrite);
}
