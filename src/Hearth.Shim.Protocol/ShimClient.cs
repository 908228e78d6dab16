using System.Net.Sockets;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Protocol;

/// <summary>
/// The manager's side of one shim: the task service and Hearth's additions to it, over one connection. Each method is the
/// call of its name, and throws <see cref="TtrpcException"/> with the shim's answer, or Unavailable when the shim is gone.
/// Thread: any.
/// </summary>
public sealed class ShimClient : IAsyncDisposable
{
    private readonly TtrpcClient _ttrpc;

    private ShimClient(string address, TtrpcClient ttrpc)
    {
        Address = address;
        _ttrpc = ttrpc;
    }

    /// <summary>The path of the shim's socket.</summary>
    public string Address { get; }

    /// <summary>Completes, and never fails, when the connection has ended: the shim is gone.</summary>
    public Task Closed => _ttrpc.Closed;

    /// <param name="address">As the shim printed it: a path, with or without <c>unix://</c>.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    public static async Task<ShimClient> ConnectAsync(string address, CancellationToken cancellation = default)
    {
        string path = address.StartsWith("unix://", StringComparison.Ordinal) ? address["unix://".Length..] : address;
        return new ShimClient(path, new TtrpcClient(await OpenAsync(path, cancellation).ConfigureAwait(false)));
    }

    public Task<StateResponse> StateAsync(string id, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("State", new StateRequest { Id = id, ExecId = execId }, StateResponse.Parser, cancellation);

    public Task<CreateTaskResponse> CreateAsync(CreateTaskRequest request, CancellationToken cancellation = default) =>
        TaskAsync("Create", request, CreateTaskResponse.Parser, cancellation);

    public Task<StartResponse> StartAsync(string id, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("Start", new StartRequest { Id = id, ExecId = execId }, StartResponse.Parser, cancellation);

    public Task<DeleteResponse> DeleteAsync(string id, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("Delete", new DeleteRequest { Id = id, ExecId = execId }, DeleteResponse.Parser, cancellation);

    public Task<Tasks.PidsResponse> PidsAsync(string id, CancellationToken cancellation = default) =>
        TaskAsync("Pids", new Tasks.PidsRequest { Id = id }, Tasks.PidsResponse.Parser, cancellation);

    public Task PauseAsync(string id, CancellationToken cancellation = default) => TaskAsync("Pause", new PauseRequest { Id = id }, cancellation);

    public Task ResumeAsync(string id, CancellationToken cancellation = default) => TaskAsync("Resume", new ResumeRequest { Id = id }, cancellation);

    public Task KillAsync(string id, uint signal, bool all = false, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("Kill", new KillRequest { Id = id, ExecId = execId, Signal = signal, All = all }, cancellation);

    public Task ExecAsync(Tasks.ExecProcessRequest request, CancellationToken cancellation = default) => TaskAsync("Exec", request, cancellation);

    public Task ResizePtyAsync(string id, string execId, uint width, uint height, CancellationToken cancellation = default) =>
        TaskAsync("ResizePty", new ResizePtyRequest { Id = id, ExecId = execId, Width = width, Height = height }, cancellation);

    public Task CloseIOAsync(string id, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("CloseIO", new CloseIORequest { Id = id, ExecId = execId, Stdin = true }, cancellation);

    /// <param name="id">The container.</param>
    /// <param name="resources">linux.resources of an OCI runtime specification, as JSON.</param>
    /// <param name="cancellation">Ends the wait, not the update.</param>
    public Task UpdateAsync(string id, byte[] resources, CancellationToken cancellation = default) =>
        TaskAsync("Update", new UpdateTaskRequest { Id = id, Resources = new Any { TypeUrl = TaskServices.ResourcesType, Value = ByteString.CopyFrom(resources) } }, cancellation);

    public Task<WaitResponse> WaitAsync(string id, string execId = "", CancellationToken cancellation = default) =>
        TaskAsync("Wait", new WaitRequest { Id = id, ExecId = execId }, WaitResponse.Parser, cancellation);

    public Task<Tasks.StatsResponse> StatsAsync(string id, CancellationToken cancellation = default) =>
        TaskAsync("Stats", new Tasks.StatsRequest { Id = id }, Tasks.StatsResponse.Parser, cancellation);

    public Task<ConnectResponse> ConnectTaskAsync(string id, CancellationToken cancellation = default) =>
        TaskAsync("Connect", new ConnectRequest { Id = id }, ConnectResponse.Parser, cancellation);

    /// <summary>Asks the shim to end if it has no container left.</summary>
    public Task ShutdownAsync(string id, bool now = false, CancellationToken cancellation = default) =>
        TaskAsync("Shutdown", new ShutdownRequest { Id = id, Now = now }, cancellation);

    public Task<PodStatus> StatusAsync(CancellationToken cancellation = default) => PodAsync("Status", new Empty(), PodStatus.Parser, cancellation);

    /// <summary>What has ended, and then what happens; read it to its end, which is the shim's, or dispose it.</summary>
    public Task<TtrpcStream<PodEvent>> EventsAsync(CancellationToken cancellation = default) =>
        _ttrpc.OpenServerStreamAsync(TaskServices.Pod, "Events", new Empty(), PodEvent.Parser, cancellation);

    /// <summary>Read it to its end, or dispose it: that kills nothing, but frees the connection.</summary>
    public Task<TtrpcStream<RunProcessEvent>> RunProcessAsync(RunProcessRequest request, CancellationToken cancellation = default) =>
        _ttrpc.OpenServerStreamAsync(TaskServices.Pod, "RunProcess", request, RunProcessEvent.Parser, cancellation);

    public Task ReopenLogAsync(string id, CancellationToken cancellation = default) =>
        PodAsync("ReopenLog", new ReopenLogRequest { ContainerId = id }, Empty.Parser, cancellation);

    public Task<PodStats> PodStatsAsync(CancellationToken cancellation = default) => PodAsync("Stats", new Empty(), PodStats.Parser, cancellation);

    /// <param name="resources">linux.resources of an OCI runtime specification, as JSON.</param>
    /// <param name="cancellation">Ends the wait, not the update.</param>
    public Task UpdatePodResourcesAsync(byte[] resources, CancellationToken cancellation = default) =>
        PodAsync("UpdateResources", new UpdatePodResourcesRequest { Resources = ByteString.CopyFrom(resources) }, Empty.Parser, cancellation);

    /// <summary>Opens a standard stream: of an exec that was made with <c>stream://</c>, or, to attach, of a container.</summary>
    /// <exception cref="TtrpcException">NotFound: no such process or stream. FailedPrecondition: someone else has it.</exception>
    public Task<Stream> OpenStdioAsync(StdioHandshake handshake, CancellationToken cancellation = default) =>
        OpenStreamAsync(handshake.ToBytes(), $"{handshake.Stream} of \"{handshake.ContainerId}\" \"{handshake.ExecId}\"", cancellation);

    /// <summary>Opens a TCP connection to a port of the pod's loopback interface.</summary>
    /// <exception cref="TtrpcException">NotFound: nobody listens there.</exception>
    public Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation = default) =>
        OpenStreamAsync(new PortHandshake(port).ToBytes(), $"port {port} of the pod", cancellation);

    public ValueTask DisposeAsync() => _ttrpc.DisposeAsync();

    private async Task<Stream> OpenStreamAsync(byte[] header, string what, CancellationToken cancellation)
    {
        Stream stream = await OpenAsync(Address + ".stream", cancellation).ConfigureAwait(false);
        try
        {
            await stream.WriteAsync(header, cancellation).ConfigureAwait(false);
            byte[] reply = new byte[1];
            await stream.ReadExactlyAsync(reply, cancellation).ConfigureAwait(false);
            return (StdioReply)reply[0] switch
            {
                StdioReply.Ok => stream,
                StdioReply.NotFound => throw new TtrpcException(StatusCode.NotFound, $"There is no {what}."),
                StdioReply.Busy => throw new TtrpcException(StatusCode.FailedPrecondition, $"{what} is taken."),
                _ => throw new TtrpcException(StatusCode.Internal, $"The shim answered {reply[0]} to the header of a stream."),
            };
        }
        catch (Exception e)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw e is IOException ? new TtrpcException(StatusCode.Unavailable, "The shim closed the connection.", e) : e;
        }
    }

    private static async Task<Stream> OpenAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private Task TaskAsync(string method, IMessage request, CancellationToken cancellation) => TaskAsync(method, request, Empty.Parser, cancellation);

    private Task<TResponse> TaskAsync<TResponse>(string method, IMessage request, MessageParser<TResponse> parser, CancellationToken cancellation)
        where TResponse : IMessage<TResponse> => _ttrpc.CallAsync(TaskServices.TaskV2, method, request, parser, null, null, cancellation);

    private Task<TResponse> PodAsync<TResponse>(string method, IMessage request, MessageParser<TResponse> parser, CancellationToken cancellation)
        where TResponse : IMessage<TResponse> => _ttrpc.CallAsync(TaskServices.Pod, method, request, parser, null, null, cancellation);
}
