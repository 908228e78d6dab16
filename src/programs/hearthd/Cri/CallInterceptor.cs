using Grpc.Core;
using Grpc.Core.Interceptors;
using Hearth.Images;
using Hearth.Linux;
using Hearth.Programs.Daemon.Telemetry;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>Around every call: what failed becomes a gRPC status, and is logged; calls are counted and timed. Thread: any.</summary>
internal sealed partial class CallInterceptor(CallMetrics metrics, ILogger<CallInterceptor> log, CallTraces? traces = null) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        long start = TimeProvider.System.GetTimestamp();
        StatusCode code = StatusCode.OK;
        try
        {
            return await continuation(request, context).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            RpcException told = Tell(e, context);
            code = told.StatusCode;
            throw told;
        }
        finally
        {
            Count(context, code, start);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        long start = TimeProvider.System.GetTimestamp();
        StatusCode code = StatusCode.OK;
        try
        {
            await continuation(request, responseStream, context).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            RpcException told = Tell(e, context);
            code = told.StatusCode;
            throw told;
        }
        finally
        {
            Count(context, code, start);
        }
    }

    /// <summary>The code of a failure.</summary>
    internal static StatusCode CodeOf(Exception e) => e switch
    {
        PodException pod => pod.Fault switch
        {
            PodFault.NotFound => StatusCode.NotFound,
            PodFault.AlreadyExists => StatusCode.AlreadyExists,
            PodFault.FailedPrecondition => StatusCode.FailedPrecondition,
            PodFault.InvalidArgument => StatusCode.InvalidArgument,
            PodFault.Unavailable => StatusCode.Unavailable,
            PodFault.DeadlineExceeded => StatusCode.DeadlineExceeded,
            PodFault.ResourceExhausted => StatusCode.ResourceExhausted,
            PodFault.Unimplemented => StatusCode.Unimplemented,
            _ => StatusCode.Internal,
        },
        ImageException image => image.Fault switch
        {
            ImageFault.NotFound => StatusCode.NotFound,
            ImageFault.InvalidReference => StatusCode.InvalidArgument,
            ImageFault.Denied => StatusCode.PermissionDenied,
            ImageFault.Unreachable => StatusCode.Unavailable,
            ImageFault.BadContent => StatusCode.DataLoss,
            ImageFault.TooLarge or ImageFault.NoSpace => StatusCode.ResourceExhausted,
            _ => StatusCode.Internal,
        },
        _ => StatusCode.Internal,
    };

    private RpcException Tell(Exception e, ServerCallContext context)
    {
        switch (e)
        {
            case RpcException already:
                return already;
            case OperationCanceledException:
                return context.Deadline <= DateTime.UtcNow
                    ? new RpcException(new Status(StatusCode.DeadlineExceeded, "The client's deadline passed."))
                    : new RpcException(new Status(StatusCode.Cancelled, "The call was given up."));
            case HearthException:
                LogFailure(context.Method, CodeOf(e), e.Message);
                return new RpcException(new Status(CodeOf(e), e.Message));
            default:
                // A bug, or the host in trouble: the log gets all of it, the client a sentence.
                LogBug(context.Method, e);
                return new RpcException(new Status(StatusCode.Internal, $"{context.Method} failed: {e.Message}"));
        }
    }

    private void Count(ServerCallContext context, StatusCode code, long start)
    {
        TimeSpan time = TimeProvider.System.GetElapsedTime(start);
        metrics.Count(context.Method, code, time);
        traces?.Add(context.Method, code, time, context.RequestHeaders.GetValue("traceparent"));
        LogCall(context.Method, code, time.TotalMilliseconds);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} {Code} {Milliseconds:0.0} ms")]
    private partial void LogCall(string method, StatusCode code, double milliseconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Method} failed, {Code}: {Reason}")]
    private partial void LogFailure(string method, StatusCode code, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed unforeseen")]
    private partial void LogBug(string method, Exception e);
}
