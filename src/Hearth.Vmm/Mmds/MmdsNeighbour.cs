using Hearth.Virtio.Net;

namespace Hearth.Vmm.Mmds;

/// <summary>
/// Puts the metadata service beside one network interface: the guest's frames for its address end here, whether they ask
/// for it by ARP or talk to it. Thread: the event loop of the interface.
/// </summary>
public sealed class MmdsNeighbour : INetInterceptor
{
    private readonly MmdsNetworkStack _stack;

    public MmdsNeighbour(MmdsNetworkStack stack)
    {
        _stack = stack;
    }

    public long NextDeadlineMs => _stack.NextDeadlineMs;

    public bool Wants(ReadOnlySpan<byte> start) => _stack.IsAddressed(start);

    public bool TryConsume(ReadOnlySpan<byte> frame, bool checksumDeferred) =>
        _stack.TryConsumeFrame(frame, Environment.TickCount64, checksumDeferred);

    public int TryProduce(Span<byte> destination) =>
        _stack.TryProduceFrame(destination[..Math.Min(destination.Length, MmdsNetworkStack.MaxFrameBytes)], Environment.TickCount64);
}
