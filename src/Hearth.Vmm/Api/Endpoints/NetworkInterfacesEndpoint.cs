using System.Text.Json;
using Hearth.Linux;
using Hearth.Virtio.Net;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT and PATCH <c>/network-interfaces/{id}</c>. Source: Firecracker swagger NetworkInterface, PartialNetworkInterface.</summary>
internal sealed class NetworkInterfacesEndpoint : Endpoint
{
    // The least an IPv4 host must take (RFC 791), as virtio 1.2 §5.1.4.1 asks.
    private const ulong LeastMtu = 68;

    public override string Path => "network-interfaces";

    public override string MetricName => "network";

    public override bool HasId => true;

    public override string Section => "network-interfaces";

    public override bool SectionIsArray => true;

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "iface_id", "host_dev_name", "guest_mac", "mtu", "rx_rate_limiter", "tx_rate_limiter");
        return new InsertInterface(new NetworkInterfaceConfig
        {
            IfaceId = CheckId(json, id),
            HostDevName = json.RequiredString("host_dev_name"),
            GuestMac = ReadMac(json.OptionalString("guest_mac")),
            Mtu = ReadMtu(json.OptionalNumber("mtu", ushort.MaxValue, "u16")),
            RxRateLimiter = RateLimiterJson.Read(json, "rx_rate_limiter"),
            TxRateLimiter = RateLimiterJson.Read(json, "tx_rate_limiter"),
        });
    }

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "iface_id", "rx_rate_limiter", "tx_rate_limiter");
        return new UpdateInterface(CheckId(json, id), RateLimiterJson.Read(json, "rx_rate_limiter"), RateLimiterJson.Read(json, "tx_rate_limiter"));
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        json.WriteStartArray();
        foreach (NetworkInterfaceConfig nic in resources.Devices<NetworkInterfaceConfig>())
        {
            json.WriteStartObject();
            json.WriteString("iface_id", nic.IfaceId);
            json.WriteString("host_dev_name", nic.HostDevName);
            json.WriteOptionalString("guest_mac", nic.GuestMac?.ToString());
            if (nic.Mtu is { } mtu)
            {
                json.WriteNumber("mtu", mtu);
            }

            RateLimiterJson.Write(json, "rx_rate_limiter", nic.RxRateLimiter);
            RateLimiterJson.Write(json, "tx_rate_limiter", nic.TxRateLimiter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        return true;
    }

    private static string CheckId(JsonBody json, string? id)
    {
        string ifaceId = json.RequiredString("iface_id");
        return id is null || id == ifaceId ? ifaceId : throw new ApiException("The id from the path does not match the id from the body!");
    }

    private static MacAddress? ReadMac(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return MacAddress.TryParse(text, out MacAddress mac) ? mac : throw new JsonBodyException("The provided MAC address is invalid");
    }

    private static ushort? ReadMtu(ulong? mtu) =>
        mtu is < LeastMtu ? throw new JsonBodyException($"invalid value: integer `{mtu}`, expected an mtu of {LeastMtu} to {ushort.MaxValue}") : (ushort?)mtu;

    private sealed record InsertInterface(NetworkInterfaceConfig Interface) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            foreach (NetworkInterfaceConfig other in preboot.Resources.Devices<NetworkInterfaceConfig>())
            {
                if (other.IfaceId == Interface.IfaceId)
                {
                    continue;
                }

                if (Interface.GuestMac is { } mac && other.GuestMac == mac)
                {
                    throw new ConfigurationException($"The MAC address is already in use: {mac}");
                }

                if (other.HostDevName == Interface.HostDevName)
                {
                    // The first would not be opened before the start, and only the second's opening would fail.
                    throw new ConfigurationException(
                        $"Could not create the network device: Open tap device failed: {Interface.HostDevName} is taken by interface {other.IfaceId} already: give each interface a TAP of its own.");
                }
            }

            CheckTap(Interface.HostDevName);
            preboot.Resources.PutDevice(Interface);
            return VmmResponse.Empty;
        }

        private static void CheckTap(string name)
        {
            try
            {
                TapInterface.Open(name).Dispose();
            }
            catch (HearthException e)
            {
                throw new ConfigurationException($"Could not create the network device: {e.Message}");
            }
        }
    }

    private sealed record UpdateInterface(string IfaceId, RateLimiterConfig? Rx, RateLimiterConfig? Tx) : VmmAction
    {
        public override VmmResponse RunRuntime(RuntimeController runtime)
        {
            NetworkInterfaceConfig nic = runtime.Resources.FindDevice<NetworkInterfaceConfig>(IfaceId)
                ?? throw new ConfigurationException($"There is no network interface with the id {IfaceId}.");
            runtime.Machine.UpdateNetworkInterface(IfaceId, Rx, Tx);
            runtime.Resources.PutDevice(nic with
            {
                RxRateLimiter = RateLimiterConfig.Merge(nic.RxRateLimiter, Rx),
                TxRateLimiter = RateLimiterConfig.Merge(nic.TxRateLimiter, Tx),
            });
            return VmmResponse.Empty;
        }
    }
}
