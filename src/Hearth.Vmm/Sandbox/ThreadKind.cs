namespace Hearth.Vmm.Sandbox;

/// <summary>The kinds of threads that have filters of their own. The numbers are the trap's data.</summary>
public enum ThreadKind
{
    /// <summary>What no thread may go beyond, whatever started it.</summary>
    Process = 0,

    /// <summary>The first thread: the API, and the end of the machine.</summary>
    Api = 1,

    /// <summary>The device loop.</summary>
    Devices = 2,

    /// <summary>A vCPU.</summary>
    Vcpu = 3,

    /// <summary>The runtime's finalizer thread.</summary>
    Runtime = 4,
}
