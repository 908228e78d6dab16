using System.Text.Json.Serialization;
using Hearth.Firecracker.Models;

namespace Hearth.Firecracker;

/// <summary>The API's JSON: snake_case but for the sections of a whole configuration; what is null is not sent.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Error))]
[JsonSerializable(typeof(InstanceInfo))]
[JsonSerializable(typeof(InstanceActionInfo))]
[JsonSerializable(typeof(Balloon))]
[JsonSerializable(typeof(BalloonUpdate))]
[JsonSerializable(typeof(BalloonStats))]
[JsonSerializable(typeof(BalloonStatsUpdate))]
[JsonSerializable(typeof(BalloonStartCmd))]
[JsonSerializable(typeof(BalloonHintingStatus))]
[JsonSerializable(typeof(BootSource))]
[JsonSerializable(typeof(CpuConfig))]
[JsonSerializable(typeof(Drive))]
[JsonSerializable(typeof(PartialDrive))]
[JsonSerializable(typeof(Pmem))]
[JsonSerializable(typeof(PartialPmem))]
[JsonSerializable(typeof(Filesystem))]
[JsonSerializable(typeof(Logger))]
[JsonSerializable(typeof(MachineConfiguration))]
[JsonSerializable(typeof(PartialMachineConfiguration))]
[JsonSerializable(typeof(Metrics))]
[JsonSerializable(typeof(MmdsConfig))]
[JsonSerializable(typeof(EntropyDevice))]
[JsonSerializable(typeof(SerialDevice))]
[JsonSerializable(typeof(MemoryHotplugConfig))]
[JsonSerializable(typeof(MemoryHotplugSizeUpdate))]
[JsonSerializable(typeof(MemoryHotplugStatus))]
[JsonSerializable(typeof(NetworkInterface))]
[JsonSerializable(typeof(PartialNetworkInterface))]
[JsonSerializable(typeof(SnapshotCreateParams))]
[JsonSerializable(typeof(SnapshotLoadParams))]
[JsonSerializable(typeof(FirecrackerVersion))]
[JsonSerializable(typeof(Vm))]
[JsonSerializable(typeof(FullVmConfiguration))]
[JsonSerializable(typeof(Vsock))]
internal sealed partial class FirecrackerJson : JsonSerializerContext;
