using System.Net.Sockets;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Ttrpc;

namespace Hearth.Agent.Protocol;

/// <summary>Opens a connection to one of the agent's ports (<see cref="AgentPorts"/>).</summary>
public delegate Task<Stream> AgentConnector(uint port, CancellationToken cancellation);

/// <summary>
/// The host's side of the agent service. Each method is the call of its name in agent.proto, and throws
/// <see cref="TtrpcException"/> with the agent's answer, or Unavailable when the agent is gone. Thread: any.
/// </summary>
public sealed class AgentClient : IAsyncDisposable
{
    /// <summary>The service's name on the wire.</summary>
    public const string ServiceName = "hearth.agent.v1.Agent";

    private readonly AgentConnector _connect;
    private readonly TtrpcClient _ttrpc;

    private AgentClient(AgentConnector connect, TtrpcClient ttrpc)
    {
        _connect = connect;
        _ttrpc = ttrpc;
    }

    /// <summary>Completes, and never fails, when the connection has ended: the agent, or the machine, is gone.</summary>
    public Task Closed => _ttrpc.Closed;

    public static async Task<AgentClient> ConnectAsync(AgentConnector connect, CancellationToken cancellation = default) =>
        new(connect, new TtrpcClient(await connect(AgentPorts.Ttrpc, cancellation).ConfigureAwait(false)));

    public Task<CheckResponse> CheckAsync(TimeSpan? timeout = null, CancellationToken cancellation = default) =>
        _ttrpc.CallAsync(ServiceName, "Check", new Empty(), CheckResponse.Parser, timeout, null, cancellation);

    public Task SetUpSandboxAsync(SetUpSandboxRequest request, CancellationToken cancellation = default) => CallAsync("SetUpSandbox", request, cancellation);

    public Task ConfigureNetworkAsync(Network request, CancellationToken cancellation = default) => CallAsync("ConfigureNetwork", request, cancellation);

    public Task SetTimeAsync(SetTimeRequest request, CancellationToken cancellation = default) => CallAsync("SetTime", request, cancellation);

    public Task ReseedRandomAsync(ReseedRandomRequest request, CancellationToken cancellation = default) => CallAsync("ReseedRandom", request, cancellation);

    public Task WriteFilesAsync(WriteFilesRequest request, CancellationToken cancellation = default) => CallAsync("WriteFiles", request, cancellation);

    public Task MountAsync(MountRequest request, CancellationToken cancellation = default) => CallAsync("Mount", request, cancellation);

    public Task UnmountAsync(UnmountRequest request, CancellationToken cancellation = default) => CallAsync("Unmount", request, cancellation);

    public Task<CreateContainerResponse> CreateContainerAsync(CreateContainerRequest request, CancellationToken cancellation = default) =>
        CallAsync("CreateContainer", request, CreateContainerResponse.Parser, cancellation);

    public Task StartContainerAsync(StartContainerRequest request, CancellationToken cancellation = default) => CallAsync("StartContainer", request, cancellation);

    public Task RemoveContainerAsync(RemoveContainerRequest request, CancellationToken cancellation = default) => CallAsync("RemoveContainer", request, cancellation);

    public Task UpdateResourcesAsync(UpdateResourcesRequest request, CancellationToken cancellation = default) => CallAsync("UpdateResources", request, cancellation);

    public Task<StatsResponse> StatsAsync(StatsRequest request, CancellationToken cancellation = default) =>
        CallAsync("Stats", request, StatsResponse.Parser, cancellation);

    public Task<AllStatsResponse> AllStatsAsync(CancellationToken cancellation = default) =>
        CallAsync("AllStats", new Empty(), AllStatsResponse.Parser, cancellation);

    public Task SetFrozenAsync(SetFrozenRequest request, CancellationToken cancellation = default) => CallAsync("SetFrozen", request, cancellation);

    public Task<PidsResponse> PidsAsync(PidsRequest request, CancellationToken cancellation = default) =>
        CallAsync("Pids", request, PidsResponse.Parser, cancellation);

    public Task<ExecProcessResponse> ExecProcessAsync(ExecProcessRequest request, CancellationToken cancellation = default) =>
        CallAsync("ExecProcess", request, ExecProcessResponse.Parser, cancellation);

    /// <summary>Read it to its end, or dispose it: that kills nothing, but frees the connection.</summary>
    public Task<TtrpcStream<RunProcessEvent>> RunProcessAsync(RunProcessRequest request, CancellationToken cancellation = default) =>
        _ttrpc.OpenServerStreamAsync(ServiceName, "RunProcess", request, RunProcessEvent.Parser, cancellation);

    public Task RemoveProcessAsync(RemoveProcessRequest request, CancellationToken cancellation = default) => CallAsync("RemoveProcess", request, cancellation);

    public Task SignalAsync(SignalRequest request, CancellationToken cancellation = default) => CallAsync("Signal", request, cancellation);

    public Task<WaitProcessResponse> WaitProcessAsync(WaitProcessRequest request, CancellationToken cancellation = default) =>
        CallAsync("WaitProcess", request, WaitProcessResponse.Parser, cancellation);

    public Task ResizeTtyAsync(ResizeTtyRequest request, CancellationToken cancellation = default) => CallAsync("ResizeTty", request, cancellation);

    public Task CloseStdinAsync(CloseStdinRequest request, CancellationToken cancellation = default) => CallAsync("CloseStdin", request, cancellation);

    public Task<TtrpcStream<Event>> EventsAsync(CancellationToken cancellation = default) =>
        _ttrpc.OpenServerStreamAsync(ServiceName, "Events", new Empty(), Event.Parser, cancellation);

    /// <summary>Asks for the machine's end, and waits for the connection's.</summary>
    public async Task ShutdownAsync(CancellationToken cancellation = default)
    {
        try
        {
            await CallAsync("Shutdown", new Empty(), cancellation).ConfigureAwait(false);
            await Closed.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code == StatusCode.Unavailable)
        {
            // That is its answer: the machine is gone.
        }
    }

    /// <summary>Opens a standard stream of a process: one to write for stdin, one to read for the others.</summary>
    /// <exception cref="TtrpcException">NotFound: no such process or stream. FailedPrecondition: someone else has it. Unavailable: the machine is gone.</exception>
    public Task<Stream> OpenStdioAsync(StdioHandshake handshake, CancellationToken cancellation = default) =>
        OpenAsync(AgentPorts.Stdio, handshake.ToBytes(), $"{handshake.Stream} of \"{handshake.ContainerId}\" \"{handshake.ExecId}\"", cancellation);

    /// <summary>Opens a TCP connection to a port of the guest's loopback interface.</summary>
    /// <exception cref="TtrpcException">NotFound: nobody listens there. FailedPrecondition: too many are open. Unavailable: the machine is gone.</exception>
    public Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation = default) =>
        OpenAsync(AgentPorts.Tcp, new PortHandshake(port).ToBytes(), $"listener on port {port}", cancellation);

    public ValueTask DisposeAsync() => _ttrpc.DisposeAsync();

    private async Task<Stream> OpenAsync(uint agentPort, byte[] header, string what, CancellationToken cancellation)
    {
        Stream stream;
        try
        {
            stream = await _connect(agentPort, cancellation).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new TtrpcException(StatusCode.Unavailable, $"The agent cannot be reached for the {what}: its machine has ended.", e);
        }

        try
        {
            await stream.WriteAsync(header, cancellation).ConfigureAwait(false);
            await stream.FlushAsync(cancellation).ConfigureAwait(false);
            byte[] reply = new byte[1];
            await stream.ReadExactlyAsync(reply, cancellation).ConfigureAwait(false);
            return (StdioReply)reply[0] switch
            {
                StdioReply.Ok => stream,
                StdioReply.NotFound => throw new TtrpcException(StatusCode.NotFound, $"There is no {what}."),
                StdioReply.Busy => throw new TtrpcException(StatusCode.FailedPrecondition, $"The {what} is taken."),
                _ => throw new TtrpcException(StatusCode.Internal, $"The agent answered {reply[0]} to the header of a stream."),
            };
        }
        catch (Exception e)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw e is IOException ? new TtrpcException(StatusCode.Unavailable, "The agent closed the connection.", e) : e;
        }
    }

    private Task CallAsync(string method, IMessage request, CancellationToken cancellation) => CallAsync(method, request, Empty.Parser, cancellation);

    private Task<TResponse> CallAsync<TResponse>(string method, IMessage request, MessageParser<TResponse> parser, CancellationToken cancellation)
        where TResponse : IMessage<TResponse> => _ttrpc.CallAsync(ServiceName, method, request, parser, null, null, cancellation);
}
