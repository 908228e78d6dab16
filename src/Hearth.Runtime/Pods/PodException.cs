using Hearth.Linux;

namespace Hearth.Runtime.Pods;

/// <summary>Why something cannot be done with a pod or container, for callers that tell their own clients (gRPC codes have the same names).</summary>
public enum PodFault
{
    /// <summary>Something of the host, or of Hearth, failed.</summary>
    Internal,

    /// <summary>There is no such pod, container or image.</summary>
    NotFound,

    /// <summary>A pod or container of that name and attempt is there, or is being made.</summary>
    AlreadyExists,

    /// <summary>It is not in a state for that.</summary>
    FailedPrecondition,

    /// <summary>What was asked contradicts itself, or cannot be had from this handler.</summary>
    InvalidArgument,

    /// <summary>The pod's shim does not answer, or is gone.</summary>
    Unavailable,

    /// <summary>It took longer than it may.</summary>
    DeadlineExceeded,

    /// <summary>A limit is reached: the disk, an address range, an output's size.</summary>
    ResourceExhausted,

    /// <summary>Hearth does not do this.</summary>
    Unimplemented,
}

/// <summary>What went wrong with a pod: one sentence that says what was asked, what failed and what to do.</summary>
public sealed class PodException(PodFault fault, string message, Exception? cause = null) : HearthException(message, cause)
{
    public PodFault Fault { get; } = fault;
}
