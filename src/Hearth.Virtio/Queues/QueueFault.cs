namespace Hearth.Virtio.Queues;

/// <summary>What is wrong with a queue as its driver set it up or used it. After any of these only a reset helps.</summary>
public enum QueueFault
{
    None,

    /// <summary>The size is no power of two between 1 and the device's maximum.</summary>
    BadSize,

    /// <summary>A ring's address is not aligned as virtio 1.2 §2.7 asks (16, 2 and 4 bytes).</summary>
    Misaligned,

    /// <summary>A ring does not lie inside one region of guest memory.</summary>
    OutsideMemory,

    /// <summary>avail.idx is further ahead than the queue is long.</summary>
    AvailIndexJump,

    /// <summary>The available ring names a descriptor that the table does not have.</summary>
    BadHead,

    /// <summary>A queue full of malformed chains, one after the other.</summary>
    OnlyMalformedChains,
}
