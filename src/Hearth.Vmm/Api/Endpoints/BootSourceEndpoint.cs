using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT <c>/boot-source</c>. Source: Firecracker swagger BootSource.</summary>
internal sealed class BootSourceEndpoint : Endpoint
{
    public override string Path => "boot-source";

    public override string MetricName => "boot_source";

    public override string Section => "boot-source";

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "kernel_image_path", "initrd_path", "boot_args");
        return new ConfigureBootSource(new BootSourceConfig
        {
            KernelImagePath = json.RequiredString("kernel_image_path"),
            InitrdPath = json.OptionalString("initrd_path"),
            BootArgs = json.OptionalString("boot_args"),
        });
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        if (resources.BootSource is not { } boot)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteString("kernel_image_path", boot.KernelImagePath);
        json.WriteString("initrd_path", boot.InitrdPath);
        json.WriteString("boot_args", boot.BootArgs);
        json.WriteEndObject();
        return true;
    }

    private sealed record ConfigureBootSource(BootSourceConfig Config) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            HostFile.CheckReadable(Config.KernelImagePath, "Boot source error: The kernel file cannot be opened: ");
            if (Config.InitrdPath is not null)
            {
                HostFile.CheckReadable(Config.InitrdPath, "Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. ");
            }

            // The line's own checks, now rather than at the start.
            _ = new Boot.KernelCommandLine(Config.BootArgs).ToBytes();
            preboot.Resources.BootSource = Config;
            return VmmResponse.Empty;
        }
    }
}
