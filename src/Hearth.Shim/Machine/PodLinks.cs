using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>A machine's end of its pod's network: the interfaces that were there at its start, or TAPs in reserve for those that come later.</summary>
/// <param name="space">The path by which the namespace is entered.</param>
/// <param name="interfaces">Joined at the start.</param>
/// <param name="spares">In reserve; none where there were interfaces.</param>
internal sealed class PodLinks(string space, IReadOnlyList<PodInterface> interfaces, IReadOnlyList<SpareInterface> spares)
{
    /// <summary>The path by which the namespace is entered.</summary>
    public string Space => space;

    /// <summary>The TAPs that the monitor opens, each with its device's hardware address.</summary>
    public IEnumerable<(string Tap, string HardwareAddress)> Devices =>
        interfaces.Select(static one => (one.TapName, one.HardwareAddress)).Concat(spares.Select(static one => (one.TapName, one.HardwareAddress)));

    /// <summary>Joins what is in the namespace.</summary>
    /// <param name="space">As above.</param>
    /// <param name="reserve">How many TAPs to make if that is nothing.</param>
    /// <param name="tapOwner">The user the monitor runs as, if that is not root.</param>
    public static async Task<PodLinks> AttachAsync(string space, int reserve, uint? tapOwner)
    {
        IReadOnlyList<PodInterface> interfaces = await PodNetwork.AttachAsync(space, tapOwner).ConfigureAwait(false);
        return new PodLinks(space, interfaces, interfaces.Count > 0 || reserve == 0 ? [] : await PodNetwork.MakeSparesAsync(space, reserve, tapOwner).ConfigureAwait(false));
    }

    /// <summary>What the guest is told when it starts.</summary>
    public Agent.Protocol.Network AtStart()
    {
        Agent.Protocol.Network network = GuestNetwork.Of(interfaces, []);
        network.Spares.Add(spares.Select(static spare => spare.HardwareAddress));
        return network;
    }

    /// <summary>Joins what has come since to the reserve.</summary>
    /// <returns>What the guest is to be told; null if nothing has come, or nothing is in reserve.</returns>
    public async Task<Agent.Protocol.Network?> JoinAsync()
    {
        if (spares.Count == 0)
        {
            return null;
        }

        IReadOnlyList<PodInterface> come = await PodNetwork.JoinAsync(space, spares).ConfigureAwait(false);
        return come.Count == 0 ? null : GuestNetwork.Of(come, spares);
    }
}
