namespace Hearth.Virtio.Net;

/// <summary>
/// A neighbour that lives in the monitor: it takes some of the frames that the guest sends, which then never reach the
/// TAP, and sends frames of its own. Thread: the event loop, under the device's Gate. Must not block.
/// </summary>
public interface INetInterceptor
{
    /// <summary>
    /// When <see cref="TryProduce"/> should be called though the guest sent nothing, by
    /// <see cref="Environment.TickCount64"/>; <see cref="long.MaxValue"/> for never.
    /// </summary>
    long NextDeadlineMs { get; }

    /// <summary>Whether a frame that begins with <paramref name="start"/> is for the neighbour.</summary>
    /// <param name="start">Up to <see cref="NetDevice.InterceptorPeekBytes"/> bytes from the Ethernet header on.</param>
    bool Wants(ReadOnlySpan<byte> start);

    /// <summary>Takes a frame that it wanted; false lets it go to the TAP after all.</summary>
    /// <param name="frame">From the Ethernet header on.</param>
    /// <param name="checksumDeferred">The guest left the checksum to the device (VIRTIO_NET_HDR_F_NEEDS_CSUM).</param>
    bool TryConsume(ReadOnlySpan<byte> frame, bool checksumDeferred);

    /// <summary>Makes the next frame for the guest.</summary>
    /// <returns>Its length from the Ethernet header on; 0 if there is none.</returns>
    int TryProduce(Span<byte> destination);
}
