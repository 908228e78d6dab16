using System.Net.Sockets;
using Hearth.Images;
using Hearth.Linux;
using Hearth.Runtime.Pods;
using Hearth.Ttrpc;

namespace Hearth.Runtime.State;

/// <summary>What others' failures are to a client of pods.</summary>
internal static class Failures
{
    /// <summary>A failure with its kind; what is none of ours (a bug) stays as it is.</summary>
    /// <param name="e">What was thrown.</param>
    /// <param name="what">What was being done, as the beginning of a sentence: "Starting the pod x".</param>
    public static Exception Of(Exception e, string what) => e switch
    {
        PodException or OperationCanceledException => e,
        ImageException image => new PodException(FaultOf(image.Fault), image.Message, e),
        TtrpcException ttrpc => new PodException(FaultOf(ttrpc.Code), ttrpc.Code == StatusCode.Unavailable ? $"{what} failed: the pod's shim is gone ({ttrpc.Message})" : $"{what} failed: {ttrpc.Message}", e),
        SocketException => new PodException(PodFault.Unavailable, $"{what} failed: the pod's shim cannot be reached ({e.Message}).", e),
        LinuxThreadException { InnerException: { } inner } => Of(inner, what),
        _ when DurableFile.IsFull(e) => new PodException(PodFault.ResourceExhausted, $"{what} failed: the disk is full.", e),
        HearthException or IOException or UnauthorizedAccessException => new PodException(PodFault.Internal, $"{what} failed: {e.Message}", e),
        _ => e,
    };

    public static PodFault FaultOf(ImageFault fault) => fault switch
    {
        ImageFault.InvalidReference => PodFault.InvalidArgument,
        ImageFault.NotFound => PodFault.NotFound,
        ImageFault.Denied => PodFault.FailedPrecondition,
        ImageFault.Unreachable => PodFault.Unavailable,
        ImageFault.TooLarge or ImageFault.NoSpace => PodFault.ResourceExhausted,
        _ => PodFault.Internal,
    };

    private static PodFault FaultOf(StatusCode code) => code switch
    {
        StatusCode.NotFound => PodFault.NotFound,
        StatusCode.AlreadyExists => PodFault.AlreadyExists,
        StatusCode.FailedPrecondition => PodFault.FailedPrecondition,
        StatusCode.InvalidArgument => PodFault.InvalidArgument,
        StatusCode.Unavailable => PodFault.Unavailable,
        StatusCode.DeadlineExceeded => PodFault.DeadlineExceeded,
        StatusCode.ResourceExhausted => PodFault.ResourceExhausted,
        StatusCode.Unimplemented => PodFault.Unimplemented,
        _ => PodFault.Internal,
    };
}
