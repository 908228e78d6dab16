using System.Text;
using System.Text.Json;
using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>
/// PUT <c>/filesystems/{tag}</c>: a folder of the host, served by a vhost-user back end. Deviates: Firecracker has no
/// such resource; with <c>--strict-firecracker</c> it is refused.
/// </summary>
internal sealed class FilesystemsEndpoint : Endpoint
{
    // struct virtio_fs_config, virtio 1.2 §5.11.4.
    private const int MaxTagBytes = 36;

    public override string Path => "filesystems";

    public override bool HasId => true;

    public override string Section => "filesystems";

    public override bool SectionIsArray => true;

    public override bool HasSection(VmResources resources) => resources.Devices<FilesystemConfig>().Any();

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "tag", "socket");
        string tag = json.RequiredString("tag");
        if (id is not null && id != tag)
        {
            throw new ApiException("The tag from the path does not match the tag from the body!");
        }

        if (Encoding.UTF8.GetByteCount(tag) is 0 or > MaxTagBytes || tag.Contains('\0', StringComparison.Ordinal))
        {
            throw new ApiException($"A file system's tag has 1 to {MaxTagBytes} bytes.");
        }

        return new InsertFilesystem(new FilesystemConfig { Tag = tag, Socket = json.RequiredString("socket") });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        json.WriteStartArray();
        foreach (FilesystemConfig filesystem in resources.Devices<FilesystemConfig>())
        {
            json.WriteStartObject();
            json.WriteString("tag", filesystem.Tag);
            json.WriteString("socket", filesystem.Socket);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        return true;
    }

    private sealed record InsertFilesystem(FilesystemConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            if (preboot.Resources.Options.StrictFirecracker)
            {
                throw new ConfigurationException(
                    "Firecracker has no file systems (/filesystems), and hearth-vmm was started with --strict-firecracker. Leave that option out to use them.");
            }

            if (UnixStream.Probe(Config.Socket) is var problem and not Errno.None)
            {
                throw new ConfigurationException(
                    $"Filesystem config error: There is no vhost-user back end at {Config.Socket}: {LinuxException.Describe(problem)} (os error {(int)problem}). Start virtiofsd first.");
            }

            preboot.Resources.PutDevice(Config);
            return VmmResponse.Empty;
        }
    }
}
