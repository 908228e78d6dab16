using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Endpoints;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Api;

/// <summary>Every endpoint, and the way from a request to an action. Thread: the API thread.</summary>
public static class RouteTable
{
    /// <summary>In the order in which the config file's sections are applied.</summary>
    public static IReadOnlyList<Endpoint> Endpoints { get; } =
    [
        new LoggerEndpoint(),
        new MetricsEndpoint(),
        new InstanceInfoEndpoint(),
        new VersionEndpoint(),
        new MachineConfigEndpoint(),
        new BootSourceEndpoint(),
        new DrivesEndpoint(),
        new NetworkInterfacesEndpoint(),
        new VsockEndpoint(),
        new EntropyEndpoint(),
        new FilesystemsEndpoint(),
        new SerialEndpoint(),
        new MmdsConfigEndpoint(),
        new MmdsEndpoint(),
        new ActionsEndpoint(),
        new VmStateEndpoint(),
        new VmConfigEndpoint(),
        .. NotYetEndpoint.All,
    ];

    /// <summary>Turns a request into its action, runs it by <paramref name="run"/> and counts it.</summary>
    public static VmmResponse Handle(HttpRequest request, Func<VmmAction, VmmResponse> run, MonitorMetrics metrics)
    {
        Endpoint? endpoint = null;
        VmmResponse response;
        try
        {
            CheckBody(request);
            (endpoint, string? id) = Find(request);
            response = run(Resolve(request, endpoint, id) ?? throw Unknown(request));
        }
        catch (HearthException e)
        {
            response = new VmmFault(e.Message);
        }

        Count(metrics, request.Method, endpoint, response);
        return response;
    }

    private static void Count(MonitorMetrics metrics, string method, Endpoint? endpoint, VmmResponse response)
    {
        if (response.IsDeprecated)
        {
            metrics.DeprecatedApi.HttpApiCalls.Increment();
        }

        ApiMetrics? counters = method switch
        {
            "GET" => metrics.Get,
            "PUT" => metrics.Put,
            "PATCH" => metrics.Patch,
            _ => null,
        };
        if (endpoint?.MetricName is { } resource)
        {
            counters?.Count(resource, failed: response is VmmFault);
        }
    }

    private static (Endpoint Endpoint, string? Id) Find(HttpRequest request)
    {
        string path = request.Path.Trim('/');
        foreach (Endpoint endpoint in Endpoints)
        {
            if (endpoint.HasId && (path == endpoint.Path || path.StartsWith(endpoint.Path + "/", StringComparison.Ordinal)))
            {
                string id = path.Length > endpoint.Path.Length ? path[(endpoint.Path.Length + 1)..] : string.Empty;
                CheckId(request, id);
                return (endpoint, id);
            }

            if (!endpoint.HasId && path == endpoint.Path)
            {
                return (endpoint, null);
            }
        }

        throw Unknown(request);
    }

    // Before the path is looked at, as Firecracker does.
    private static void CheckBody(HttpRequest request)
    {
        bool hasBody = request.Body.Length > 0;
        string? problem = (request.Method, hasBody) switch
        {
            ("GET", true) => "GET request cannot have a body.",
            ("PUT", false) => "Empty PUT request.",
            ("PATCH", false) => "Empty PATCH request.",
            ("DELETE", true) => "Empty Delete request.",
            _ => null,
        };
        if (problem is not null)
        {
            throw new ApiException(problem);
        }
    }

    private static VmmAction? Resolve(HttpRequest request, Endpoint endpoint, string? id) => request.Method switch
    {
        "GET" => endpoint.Get(),
        "PUT" => endpoint.Put(id, request.Body),
        "PATCH" => endpoint.Patch(id, request.Body),
        _ => id is null ? null : endpoint.Delete(id),
    };

    private static void CheckId(HttpRequest request, string id)
    {
        if (id.Length == 0)
        {
            // GET has no collections; what takes a body or deletes wants an id.
            throw request.Method == "GET" ? Unknown(request) : new ApiException("The ID cannot be empty.");
        }

        if (!id.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
        {
            throw id.Contains('/', StringComparison.Ordinal) ? Unknown(request) : new ApiException("API Resource IDs can only contain alphanumeric characters and underscores.");
        }
    }

    private static ApiException Unknown(HttpRequest request) => new($"Invalid request method and/or path: {request.Method} {request.Path}.");
}

/// <summary>A request that no action can be made of; the message is the <c>fault_message</c>. Source: Firecracker, parsed_request.rs.</summary>
public sealed class ApiException : HearthException
{
    public ApiException(string message)
        : base(message)
    {
    }
}
