using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>A microVM's whole configuration: the answer of GET <c>/vm/config</c>, and the file of <c>--config-file</c>.</summary>
public sealed record FullVmConfiguration
{
    public Balloon? Balloon { get; init; }

    public IReadOnlyList<Drive>? Drives { get; init; }

    [JsonPropertyName("boot-source")]
    public BootSource? BootSource { get; init; }

    [JsonPropertyName("cpu-config")]
    public CpuConfig? CpuConfig { get; init; }

    public Logger? Logger { get; init; }

    [JsonPropertyName("machine-config")]
    public MachineConfiguration? MachineConfig { get; init; }

    public Metrics? Metrics { get; init; }

    [JsonPropertyName("memory-hotplug")]
    public MemoryHotplugConfig? MemoryHotplug { get; init; }

    [JsonPropertyName("mmds-config")]
    public MmdsConfig? MmdsConfig { get; init; }

    [JsonPropertyName("network-interfaces")]
    public IReadOnlyList<NetworkInterface>? NetworkInterfaces { get; init; }

    public IReadOnlyList<Pmem>? Pmem { get; init; }

    public Vsock? Vsock { get; init; }

    public EntropyDevice? Entropy { get; init; }

    /// <summary>Of hearth-vmm only.</summary>
    public IReadOnlyList<Filesystem>? Filesystems { get; init; }
}
