namespace Hearth.Virtio.Queues;

/// <summary>Where a queue lies and how far it has got; all a snapshot keeps of it. Addresses are guest-physical.</summary>
public sealed record VirtqueueState
{
    public bool Ready { get; init; }

    public ushort Size { get; init; }

    public ulong DescriptorTable { get; init; }

    public ulong AvailRing { get; init; }

    public ulong UsedRing { get; init; }

    /// <summary>The free-running index of the next available entry to take.</summary>
    public ushort NextAvail { get; init; }

    /// <summary>The free-running index of the next used entry to write.</summary>
    public ushort NextUsed { get; init; }
}
