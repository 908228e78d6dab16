namespace Hearth.Shim.Machine;

/// <summary>Starts a pod's machine.</summary>
public static class PodMachine
{
    /// <summary>Boots it, and returns when the agent has answered and the network is set up.</summary>
    /// <exception cref="Hearth.Linux.HearthException">It does not come up: what failed, and the end of the guest's console.</exception>
    public static Task<IPodMachine> StartAsync(PodMachineOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    /// <summary>Ends what is left of a pod whose shim died: by its folder alone. Doing it twice is no error.</summary>
    public static Task CleanUpAsync(string folder) => throw new NotSupportedException();
}
