using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Programs.Agent.Processes;
using Hearth.Programs.Agent.Stdio;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>The containers of the pod, by id. Thread: any.</summary>
internal sealed partial class ContainerStore(ContainerHost host)
{
    // A null is a container that is being made.
    private readonly ConcurrentDictionary<string, Container?> _containers = new(StringComparer.Ordinal);

    public ContainerHost Host { get; } = host;

    public Container Create(CreateContainerRequest request)
    {
        string id = request.ContainerId;
        if (!Id().IsMatch(id))
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"\"{id}\" is no container id: letters, digits, \"_\", \".\" and \"-\", 128 at most.");
        }

        RuntimeSpec spec = Parse(request.Spec.Span);
        if (!_containers.TryAdd(id, null))
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"There is a container \"{id}\".");
        }

        try
        {
            var container = Container.Create(Host, request, spec, PidNamespaceOf(request.PidNamespace));
            _containers[id] = container;
            return container;
        }
        catch
        {
            _containers.TryRemove(id, out _);
            throw;
        }
    }

    /// <exception cref="TtrpcException">NotFound.</exception>
    public Container Get(string id) =>
        _containers.GetValueOrDefault(id) ?? throw new TtrpcException(StatusCode.NotFound, $"There is no container \"{id}\".");

    /// <summary>Those that are made, at this moment.</summary>
    public IReadOnlyList<Container> All => [.. _containers.Values.OfType<Container>()];

    public void Remove(string id)
    {
        if (_containers.GetValueOrDefault(id) is { } container)
        {
            container.Remove();
            _containers.TryRemove(id, out _);
        }
    }

    /// <summary>The end of all: what goes wrong with one must not keep the others.</summary>
    public void RemoveAll()
    {
        foreach (string id in _containers.Keys)
        {
            try
            {
                Remove(id);
            }
            catch (Exception e)
            {
                AgentLog.Error($"The container \"{id}\" was not removed: {e.Message}");
            }
        }
    }

    public IStdioEndpoint? FindStream(StdioHandshake handshake) =>
        _containers.GetValueOrDefault(handshake.ContainerId)?.FindProcess(handshake.ExecId)?.Streams.Find(handshake.Stream);

    public static ProcessSpec ParseProcess(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, RuntimeJson.Default.ProcessSpec) ?? throw new JsonException("It is null.");
        }
        catch (JsonException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The process is no OCI process: {e.Message}", e);
        }
    }

    private static RuntimeSpec Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            RuntimeSpec spec = RuntimeSpec.Parse(json);
            if (spec.Process is null)
            {
                throw new TtrpcException(StatusCode.InvalidArgument, "The specification has no process.");
            }

            return spec.Hooks is null or { IsEmpty: true }
                ? spec
                : throw new TtrpcException(StatusCode.InvalidArgument, "Hooks cannot run in the guest: their programs are the host's.");
        }
        catch (JsonException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The specification is no OCI runtime specification: {e.Message}", e);
        }
    }

    private Child? PidNamespaceOf(PidNamespace? wanted) => wanted?.Mode switch
    {
        null or PidNamespace.Types.Mode.Container => null,
        PidNamespace.Types.Mode.Pod => Host.Pause(),
        PidNamespace.Types.Mode.Target => Get(wanted.TargetContainerId).Init,
        _ => throw new TtrpcException(StatusCode.InvalidArgument, $"There is no pid namespace mode {(int)wanted.Mode}."),
    };

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
    private static partial Regex Id();
}
