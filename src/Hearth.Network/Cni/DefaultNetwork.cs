using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace Hearth.Network.Cni;

/// <summary>
/// The network of a machine that has none configured: a bridge, addresses by host-local, hostPorts by portmap; pods reach
/// the world behind the host's address, and themselves by their own services. Debian's package containernetworking-plugins.
/// </summary>
public sealed record DefaultNetwork
{
    /// <summary>One of each family at most.</summary>
    public IReadOnlyList<string> Subnets { get; init; } = ["10.88.128.0/20"];

    public string Bridge { get; init; } = "hearth0";

    public string Name { get; init; } = "hearth";

    /// <summary>Where host-local remembers addresses; empty for its own choice.</summary>
    public string AddressFolder { get; init; } = "";

    /// <exception cref="CniException">The options name no network.</exception>
    public CniNetworkList ToList()
    {
        var ranges = new JsonArray();
        var routes = new JsonArray();
        var families = new HashSet<AddressFamily>();
        foreach (string text in Subnets)
        {
            if (!IPNetwork.TryParse(text, out IPNetwork subnet) || !families.Add(subnet.BaseAddress.AddressFamily))
            {
                throw new CniException($"The default network's subnets (network.subnet) are {string.Join(", ", Subnets)}: one of IPv4, one of IPv6 or both, as 10.88.128.0/20.");
            }

            ranges.Add((JsonNode)new JsonArray(new JsonObject { ["subnet"] = subnet.ToString() }));
            routes.Add((JsonNode)new JsonObject { ["dst"] = subnet.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6 ? "::/0" : "0.0.0.0/0" });
        }

        if (!CniNames.IsInterface(Bridge) || ranges.Count == 0)
        {
            throw new CniException($"The default network needs a bridge's name of at most 15 characters (network.bridge is \"{Bridge}\") and a subnet.");
        }

        var addresses = new JsonObject { ["type"] = "host-local", ["ranges"] = ranges, ["routes"] = routes };
        if (AddressFolder.Length > 0)
        {
            addresses["dataDir"] = AddressFolder;
        }

        return CniNetworkList.Parse(
            new JsonObject
            {
                // What Debian's plugins speak.
                ["cniVersion"] = "1.0.0",
                ["name"] = Name,
                ["plugins"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "bridge",
                        ["bridge"] = Bridge,
                        ["isGateway"] = true,
                        ["ipMasq"] = true,
                        ["hairpinMode"] = true,
                        ["ipam"] = addresses,
                    },
                    new JsonObject { ["type"] = "portmap", ["snat"] = true, ["capabilities"] = new JsonObject { ["portMappings"] = true } }),
            },
            "of the default network");
    }
}
