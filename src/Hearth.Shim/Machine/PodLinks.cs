using Hearth.Linux;
using Hearth.Linux.Netlink;
using Hearth.Network;
using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>
/// A machine's end of its pod's network: the interfaces that were there at its start, and TAPs in reserve for those that come later. Thread: any, one
/// at a time.
/// </summary>
internal sealed class PodLinks
{
    private readonly IReadOnlyList<SpareInterface> _spares;

    // All that the machine has: those of the first interfaces, which others may have when those have gone, and the reserve.
    private readonly IReadOnlyList<SpareInterface> _devices;

    // As they were joined last, and as the guest knows them.
    private IReadOnlyList<PodInterface> _joined;
    private IReadOnlyList<PodInterface> _told;

    // It was told of these without an answer, and may know them or not.
    private IReadOnlyList<PodInterface> _unsure = [];

    /// <param name="space">The path by which the namespace is entered.</param>
    /// <param name="interfaces">Joined at the start.</param>
    /// <param name="spares">In reserve.</param>
    private PodLinks(string space, IReadOnlyList<PodInterface> interfaces, IReadOnlyList<SpareInterface> spares)
    {
        Space = space;
        _spares = spares;
        _devices = [.. interfaces.Select(static one => new SpareInterface(one.TapName, one.HardwareAddress)), .. spares];
        _joined = _told = interfaces;
    }

    /// <summary>The path by which the namespace is entered.</summary>
    public string Space { get; }

    /// <summary>The TAPs that the monitor opens, each with its device's hardware address.</summary>
    public IEnumerable<(string Tap, string HardwareAddress)> Devices => _devices.Select(static one => (one.TapName, one.HardwareAddress));

    /// <summary>Joins what is in the namespace.</summary>
    /// <param name="space">As above.</param>
    /// <param name="reserve">How many TAPs to make besides; 0 for a network that stays as it is.</param>
    /// <param name="tapOwner">The user the monitor runs as, if that is not root.</param>
    public static async Task<PodLinks> AttachAsync(string space, int reserve, uint? tapOwner)
    {
        IReadOnlyList<PodInterface> interfaces = await PodNetwork.AttachAsync(space, tapOwner).ConfigureAwait(false);
        return new PodLinks(space, interfaces, reserve == 0 ? [] : await PodNetwork.MakeSparesAsync(space, reserve, tapOwner).ConfigureAwait(false));
    }

    /// <summary>What the guest is told when it starts.</summary>
    public Agent.Protocol.Network AtStart()
    {
        Agent.Protocol.Network network = GuestNetwork.Of(_told);
        network.Spares.Add(_spares.Select(static spare => spare.HardwareAddress));
        return network;
    }

    /// <summary>Joins what has come since to the reserve, lets go of what has gone, and tells the guest.</summary>
    /// <param name="tell">Tells it.</param>
    /// <exception cref="HearthException">There are more networks than the reserve has places: those that have one are joined. Or one cannot serve a guest.</exception>
    public async Task FollowAsync(Func<Agent.Protocol.Network, Task> tell)
    {
        if (_spares.Count == 0)
        {
            return;
        }

        JoinedInterfaces now = await PodNetwork.JoinAsync(Space, _devices, _joined).ConfigureAwait(false);
        _joined = now.Interfaces;
        Agent.Protocol.Network? change = _unsure.Count == 0 ? GuestNetwork.Between(_told, _joined, _devices) : GuestNetwork.Anew([.. _told, .. _unsure], _joined, _devices);
        if (change is not null)
        {
            _unsure = [.. _told, .. _unsure, .. _joined];
            await tell(change).ConfigureAwait(false);
            _told = _joined;
            _unsure = [];
        }

        if (now.Left.Count > 0)
        {
            throw new HearthException(
                $"The container has {now.Interfaces.Count + now.Left.Count} networks, and its machine, which ran already when they came, {_devices.Count} interfaces (with spare_interfaces of [microvm] in hearth.toml): none is left for {string.Join(", ", now.Left)}.");
        }
    }

    /// <summary>Watches for what there is to follow; null where nothing is in reserve.</summary>
    public RouteWatch? Watch() => _spares.Count == 0 ? null : NetworkNamespace.Run(Space, static () => new RouteWatch());
}
