using System.Net;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Network;
using Hearth.Network.Cni;
using Hearth.Runtime.Pods;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Networks;

/// <summary>Pods' networks by CNI, as the configuration says. Namespaces lie in <c>STATE/netns</c>, attachments in <c>ROOT/networks</c>.</summary>
internal sealed class CniPodNetwork : IPodNetwork
{
    private readonly string _namespaces;
    private readonly CniNetworks _cni;

    public CniPodNetwork(HearthConfig config)
    {
        _namespaces = Path.Combine(config.Daemon.State, "netns");
        _cni = new CniNetworks(new CniOptions
        {
            PluginFolders = config.Network.CniBin,
            ConfFolder = config.Network.CniConf,
            CacheFolder = Path.Combine(config.Daemon.Root, "networks"),
            Default = new DefaultNetwork { Subnets = [config.Network.Subnet], Bridge = config.Network.Bridge },
        });
    }

    /// <summary>The network that the next pod gets.</summary>
    internal CniNetworkList Current => _cni.Current();

    public async Task<string?> ProblemAsync(CancellationToken cancellation)
    {
        try
        {
            return await _cni.StatusAsync(cancellation).ConfigureAwait(false);
        }
        catch (HearthException e)
        {
            return e.Message;
        }
    }

    public string CreateNamespace(string podId)
    {
        string path = Path.Combine(_namespaces, podId);
        if (File.Exists(path))
        {
            NetworkNamespace.Remove(path);
        }

        return NetworkNamespace.Create(_namespaces, podId);
    }

    public async Task<IReadOnlyList<string>> AttachAsync(Pod pod, CancellationToken cancellation)
    {
        PodConfig config = pod.Config;
        CniResult result = await _cni.AttachAsync(
            new CniPod
            {
                Id = pod.Id,
                NamespacePath = pod.NetworkNamespace,
                Namespace = config.Metadata.Namespace,
                Name = config.Metadata.Name,
                Uid = config.Metadata.Uid,
                Capabilities = new CniCapabilities
                {
                    PortMappings = [.. config.Ports.Where(static port => port.HostPort > 0).Select(static port => new CniPortMapping(
                        port.HostPort, port.ContainerPort, port.Protocol.ToString().ToLowerInvariant(), port.HostIp.Length == 0 ? null : IPAddress.Parse(port.HostIp)))],
                    Bandwidth = Bandwidth(config.Annotations),
                    Dns = config.Dns is { } dns ? new CniDnsRequest(dns.Servers, dns.Searches, dns.Options) : null,
                    Annotations = config.Annotations,
                },
            },
            cancellation).ConfigureAwait(false);
        string[] ips = [.. result.PodAddresses.Select(static address => address.Address.ToString()).Distinct()];
        return ips.Length > 0 ? ips : throw new PodException(PodFault.Internal, $"The network gave the pod {config.Metadata.Name} no address.");
    }

    public async Task DetachAsync(string podId, CancellationToken cancellation)
    {
        await _cni.DetachAsync(podId, cancellation).ConfigureAwait(false);
        NetworkNamespace.Remove(Path.Combine(_namespaces, podId));
    }

    public async Task CollectAsync(IReadOnlySet<string> livePods, Action<string> log, CancellationToken cancellation)
    {
        foreach ((string podId, HearthException? failure) in await _cni.CollectAsync(livePods, cancellation).ConfigureAwait(false))
        {
            log(failure is null
                ? $"The network of pod {podId}, which is no more, is given back."
                : $"The network of pod {podId}, which is no more, cannot be given back: {failure.Message}");
        }

        foreach (string path in Directory.Exists(_namespaces) ? Directory.GetFiles(_namespaces) : [])
        {
            if (!livePods.Contains(Path.GetFileName(path)))
            {
                NetworkNamespace.Remove(path);
            }
        }
    }

    public void SetPodCidr(string cidr)
    {
        // A configuration that is there is the administrator's, and its ranges with it.
        DefaultNetwork network = (_cni.Default ?? new DefaultNetwork()) with { Subnets = cidr.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) };
        try
        {
            _ = network.ToList();
        }
        catch (CniException e)
        {
            throw new PodException(PodFault.InvalidArgument, $"The range of pods' addresses \"{cidr}\" (pod_cidr) cannot be used: {e.Message}", e);
        }

        _cni.Default = network;
    }

    /// <summary>Kubernetes' annotations for traffic shaping: bits a second, with the suffixes of quantities.</summary>
    private static CniBandwidth? Bandwidth(IReadOnlyDictionary<string, string> annotations)
    {
        ulong ingress = Quantities.Parse(annotations.GetValueOrDefault("kubernetes.io/ingress-bandwidth", ""));
        ulong egress = Quantities.Parse(annotations.GetValueOrDefault("kubernetes.io/egress-bandwidth", ""));
        return ingress + egress == 0 ? null : new CniBandwidth(ingress, Burst(ingress), egress, Burst(egress));

        // Kubernetes names no burst; the plugin wants one, and takes no larger one than this.
        static ulong Burst(ulong rate) => rate == 0 ? 0UL : int.MaxValue;
    }
}
