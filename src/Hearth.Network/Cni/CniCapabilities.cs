using System.Net;
using System.Text.Json.Nodes;

namespace Hearth.Network.Cni;

/// <summary>A port of the host that leads to a port of the pod.</summary>
/// <param name="HostPort">1 to 65535.</param>
/// <param name="ContainerPort">1 to 65535.</param>
/// <param name="Protocol"><c>tcp</c>, <c>udp</c> or <c>sctp</c>.</param>
/// <param name="HostIp">An address of the host; null for all.</param>
public sealed record CniPortMapping(int HostPort, int ContainerPort, string Protocol, IPAddress? HostIp);

/// <summary>Limits of a pod's traffic, as the pod sees it; bits a second, bits; 0 for none.</summary>
public sealed record CniBandwidth(ulong IngressRate, ulong IngressBurst, ulong EgressRate, ulong EgressBurst);

/// <summary>Name servers that a pod asks for.</summary>
public sealed record CniDnsRequest(IReadOnlyList<string> Servers, IReadOnlyList<string> Searches, IReadOnlyList<string> Options);

/// <summary>
/// What is known of one pod, for those plugins that want to be told (<c>runtimeConfig</c>). Source: CNI conventions,
/// "Dynamic Plugin specific fields".
/// </summary>
public sealed record CniCapabilities
{
    public IReadOnlyList<CniPortMapping> PortMappings { get; init; } = [];

    public CniBandwidth? Bandwidth { get; init; }

    public CniDnsRequest? Dns { get; init; }

    /// <summary>Addresses that the pod should have: <c>10.1.2.3/24</c>.</summary>
    public IReadOnlyList<string> Ips { get; init; } = [];

    /// <summary>The hardware address that the pod should have.</summary>
    public string? Mac { get; init; }

    public string? InfraContainerId { get; init; }

    public string? CgroupPath { get; init; }

    /// <summary>The pod's annotations, as CRI's runtimes offer them.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    /// <summary>Each under the name by which plugins ask for it.</summary>
    internal JsonObject ToJson()
    {
        var json = new JsonObject();
        if (PortMappings.Count > 0)
        {
            json["portMappings"] = new JsonArray([.. PortMappings.Select(static port => new JsonObject
            {
                ["hostPort"] = port.HostPort,
                ["containerPort"] = port.ContainerPort,
                ["protocol"] = port.Protocol,
                ["hostIP"] = port.HostIp?.ToString() ?? "",
            })]);
        }

        if (Bandwidth is { } bandwidth)
        {
            json["bandwidth"] = new JsonObject
            {
                ["ingressRate"] = bandwidth.IngressRate,
                ["ingressBurst"] = bandwidth.IngressBurst,
                ["egressRate"] = bandwidth.EgressRate,
                ["egressBurst"] = bandwidth.EgressBurst,
            };
        }

        if (Dns is { } dns)
        {
            json["dns"] = new JsonObject { ["servers"] = Strings(dns.Servers), ["searches"] = Strings(dns.Searches), ["options"] = Strings(dns.Options) };
        }

        if (Ips.Count > 0)
        {
            json["ips"] = Strings(Ips);
        }

        if (Mac is not null)
        {
            json["mac"] = Mac;
        }

        if (InfraContainerId is not null)
        {
            json["infraContainerID"] = InfraContainerId;
        }

        if (CgroupPath is not null)
        {
            json["cgroupPath"] = CgroupPath;
        }

        if (Annotations.Count > 0)
        {
            json["io.kubernetes.cri.pod-annotations"] = new JsonObject(Annotations.Select(static pair => KeyValuePair.Create(pair.Key, (JsonNode?)JsonValue.Create(pair.Value))));
        }

        return json;
    }

    private static JsonArray Strings(IEnumerable<string> texts) => new([.. texts.Select(static text => JsonValue.Create(text))]);
}
