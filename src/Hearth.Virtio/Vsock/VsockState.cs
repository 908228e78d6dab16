namespace Hearth.Virtio.Vsock;

/// <summary>What a snapshot keeps of a socket device. Streams end with it: the guest is told when it wakes up.</summary>
public sealed record VsockState
{
    public required uint GuestCid { get; init; }

    /// <summary>The path at the time; the restored device may have another.</summary>
    public required string UdsPath { get; init; }
}
