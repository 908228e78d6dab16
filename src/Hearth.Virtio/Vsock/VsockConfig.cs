namespace Hearth.Virtio.Vsock;

/// <summary>A socket device as the user wants it. Source: Firecracker swagger Vsock.</summary>
public sealed record VsockConfig
{
    /// <summary>The guest's context id: 3 to 2³²-2.</summary>
    public required uint GuestCid { get; init; }

    /// <summary>
    /// Where the host connects to the guest; the guest's connections to port P go to this path with <c>_P</c> behind it.
    /// </summary>
    public required string UdsPath { get; init; }

    /// <summary>
    /// How long a guest may take to accept or refuse a connection, or to end one that the host has closed, in milliseconds.
    /// Deviates: Firecracker gives it 2,000, which a guest that is busy on one vCPU exceeds.
    /// </summary>
    public int AnswerTimeoutMs { get; init; } = 20_000;
}
