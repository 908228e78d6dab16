using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Actions;

/// <summary>A microVM's life as GET <c>/</c> tells it.</summary>
public enum VmState
{
    NotStarted,
    Running,
    Paused,
}

/// <summary>A microVM that was built and started. Thread: the API thread; failures are <see cref="Linux.HearthException"/>.</summary>
public interface IVirtualMachine
{
    /// <summary><see cref="VmState.Running"/> or <see cref="VmState.Paused"/>.</summary>
    VmState State { get; }

    /// <summary>Stops all vCPUs and returns when they stand. No change when paused already.</summary>
    void Pause();

    /// <summary>Lets the vCPUs run again. No change when running already.</summary>
    void Resume();

    /// <summary>Types Ctrl-Alt-Del on the i8042 keyboard.</summary>
    void SendCtrlAltDel();

    /// <summary>
    /// Gives a drive another backing file (opened anew even if the path is the same) and tells the guest.
    /// Either argument is null where it stays as it is.
    /// </summary>
    void UpdateDrive(string driveId, string? pathOnHost, RateLimiterConfig? rateLimiter);

    /// <summary>Changes a network interface's rate limiters; null leaves one, or one of its buckets, as it is.</summary>
    void UpdateNetworkInterface(string ifaceId, RateLimiterConfig? rxRateLimiter, RateLimiterConfig? txRateLimiter);
}

/// <summary>Turns the configuration into a running microVM.</summary>
public interface IMachineBuilder
{
    /// <summary>
    /// Builds and starts. On failure nothing is left behind, and the user may correct the configuration and try again.
    /// The process's end (the guest's reset) is announced through the <see cref="ProcessExit"/> the builder was made with.
    /// </summary>
    /// <exception cref="Linux.HearthException">What could not be had; becomes <c>Start microvm error: …</c>.</exception>
    IVirtualMachine Build(VmResources resources);
}
