using System.Text.Json;
using Hearth.Platform.Memory;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>GET, PUT and PATCH <c>/machine-config</c>. Source: Firecracker swagger MachineConfiguration.</summary>
internal sealed class MachineConfigEndpoint : Endpoint
{
    private static readonly string[] s_fields = ["vcpu_count", "mem_size_mib", "smt", "cpu_template", "track_dirty_pages", "huge_pages"];

    public override string Path => "machine-config";

    public override string MetricName => "machine_cfg";

    public override string Section => "machine-config";

    public override VmmAction Get() => new GetMachineConfig();

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, s_fields);
        _ = json.RequiredNumber("vcpu_count", byte.MaxValue, "u8");
        _ = json.RequiredNumber("mem_size_mib", ulong.MaxValue, "usize");
        return new ConfigureMachine(Update.From(json), Replace: true);
    }

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body)
    {
        Update update = Update.From(JsonBody.Parse(body, s_fields));
        return update == new Update() ? throw new ApiException("Empty PATCH request.") : new ConfigureMachine(update, Replace: false);
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        Write(json, resources.Machine);
        return true;
    }

    private static void Write(Utf8JsonWriter json, MachineConfig machine)
    {
        json.WriteStartObject();
        json.WriteNumber("vcpu_count", machine.VcpuCount);
        json.WriteNumber("mem_size_mib", machine.MemSizeMib);
        json.WriteBoolean("smt", machine.Smt);
        json.WriteBoolean("track_dirty_pages", machine.TrackDirtyPages);
        json.WriteString("huge_pages", machine.HugePages == HugePages.Hugetlbfs2M ? "2M" : machine.HugePages.ToString());
        json.WriteEndObject();
    }

    // Source: Firecracker swagger CpuTemplate; V1N1 is for another architecture.
    private enum CpuTemplateName
    {
        None,
        C3,
        T2,
        T2S,
        T2CL,
        T2A,
    }

    /// <summary>What a body says; null where it says nothing.</summary>
    private sealed record Update
    {
        public byte? VcpuCount { get; init; }

        public ulong? MemSizeMib { get; init; }

        public bool? Smt { get; init; }

        public CpuTemplateName? CpuTemplate { get; init; }

        public bool? TrackDirtyPages { get; init; }

        public HugePages? HugePages { get; init; }

        public static Update From(JsonBody json) => new()
        {
            VcpuCount = (byte?)json.OptionalNumber("vcpu_count", byte.MaxValue, "u8"),
            MemSizeMib = json.OptionalNumber("mem_size_mib", ulong.MaxValue, "usize"),
            Smt = json.OptionalBool("smt"),
            CpuTemplate = json.OptionalWord<CpuTemplateName>(
                "cpu_template",
                ("C3", CpuTemplateName.C3),
                ("T2", CpuTemplateName.T2),
                ("T2S", CpuTemplateName.T2S),
                ("T2CL", CpuTemplateName.T2CL),
                ("T2A", CpuTemplateName.T2A),
                ("None", CpuTemplateName.None)),
            TrackDirtyPages = json.OptionalBool("track_dirty_pages"),
            HugePages = json.OptionalWord<HugePages>(
                "huge_pages",
                ("None", Platform.Memory.HugePages.None),
                ("Transparent", Platform.Memory.HugePages.Transparent),
                ("2M", Platform.Memory.HugePages.Hugetlbfs2M)),
        };

        public MachineConfig Over(MachineConfig old)
        {
            if (CpuTemplate is not (null or CpuTemplateName.None))
            {
                throw new ConfigurationException($"The CPU template {CpuTemplate} is not supported by hearth-vmm yet: leave cpu_template out.");
            }

            if (TrackDirtyPages == true)
            {
                throw new ConfigurationException("track_dirty_pages is not supported by hearth-vmm yet (snapshots are not there): leave it out.");
            }

            MachineConfig next = old with
            {
                VcpuCount = VcpuCount ?? old.VcpuCount,
                MemSizeMib = MemSizeMib ?? old.MemSizeMib,
                Smt = Smt ?? old.Smt,
                HugePages = HugePages ?? old.HugePages,
            };
            next.Validate();
            return next;
        }
    }

    private sealed record GetMachineConfig : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => new VmmPayload(new Body(preboot.Resources.Machine));

        public override VmmResponse RunRuntime(RuntimeController runtime) => new VmmPayload(new Body(runtime.Resources.Machine));
    }

    private sealed record Body(MachineConfig Machine) : IJsonBody
    {
        public void WriteTo(Utf8JsonWriter json) => Write(json, Machine);
    }

    private sealed record ConfigureMachine(Update Update, bool Replace) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            preboot.Resources.Machine = Update.Over(Replace ? new MachineConfig() : preboot.Resources.Machine);
            if (Update.CpuTemplate is null)
            {
                return VmmResponse.Empty;
            }

            preboot.Resources.Log.Warning($"{(Replace ? "PUT" : "PATCH")} /machine-config: cpu_template field is deprecated.");
            return new VmmEmpty { IsDeprecated = true };
        }
    }
}
