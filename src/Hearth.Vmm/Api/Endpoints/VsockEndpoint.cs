using System.Text;
using System.Text.Json;
using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/vsock</c>. Source: Firecracker swagger Vsock.</summary>
internal sealed class VsockEndpoint : Endpoint
{
    private const uint LeastCid = 3;
    private const uint MostCid = uint.MaxValue - 1;

    // What remains of a socket's path of 107 bytes beside the longest "_port".
    private const int MaxPathBytes = 107 - 11;

    public override string Path => "vsock";

    public override string MetricName => "vsock";

    public override string Section => "vsock";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "guest_cid", "uds_path", "vsock_id");
        ulong cid = json.RequiredNumber("guest_cid", uint.MaxValue, "u32");
        if (cid is < LeastCid or > MostCid)
        {
            throw new ApiException($"Cannot create the vsock device: guest_cid is {cid}, and a guest's context id is {LeastCid} to {MostCid}.");
        }

        return new InsertVsock(
            new VsockConfig { GuestCid = (uint)cid, UdsPath = json.RequiredString("uds_path") },
            IsDeprecated: json.OptionalString("vsock_id") is not null);
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.Devices<VsockConfig>().FirstOrDefault() is not { } vsock)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteNumber("guest_cid", vsock.GuestCid);
        json.WriteString("uds_path", vsock.UdsPath);
        json.WriteEndObject();
        return true;
    }

    private sealed record InsertVsock(VsockConfig Config, bool IsDeprecated) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            if (IsDeprecated)
            {
                preboot.Resources.Log.Warning("PUT /vsock: vsock_id field is deprecated.");
            }

            CheckPath(Config.UdsPath);
            preboot.Resources.PutDevice(Config);
            return new VmmEmpty { IsDeprecated = IsDeprecated };
        }

        // The socket is made at the start; what would fail then is better told now.
        private static void CheckPath(string path)
        {
            const string Prefix = "Cannot create backend for vsock device: ";
            int length = Encoding.UTF8.GetByteCount(path);
            if (length is 0 or > MaxPathBytes)
            {
                throw new ConfigurationException($"{Prefix}uds_path has {length} bytes, and may have 1 to {MaxPathBytes}, so that _PORT fits behind it.");
            }

            if (UnixStream.Probe(path) is not Errno.ENOENT and var problem)
            {
                throw new ConfigurationException(problem is Errno.None or Errno.ECONNREFUSED
                    ? $"{Prefix}Error binding to the host-side Unix socket: {path} exists already. Remove it, or give another uds_path."
                    : $"{Prefix}Error binding to the host-side Unix socket: {path}: {LinuxException.Describe(problem)} (os error {(int)problem}).");
            }

            if (System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)) is { } folder && !Directory.Exists(folder))
            {
                throw new ConfigurationException($"{Prefix}Error binding to the host-side Unix socket: there is no folder {folder}. Make it first.");
            }
        }
    }
}
