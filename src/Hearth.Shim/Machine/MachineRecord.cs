using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hearth.Shim.Machine;

/// <summary>What a machine has taken from the host, for whoever cleans up after a shim that died. A file in the pod's folder.</summary>
internal sealed record MachineRecord
{
    public string? PodId { get; init; }

    /// <summary>The pod's network namespace, joined to TAPs; null for none.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary>The inode of the namespace that the monitor is in, which no other has as long as it is; 0 before it is known.</summary>
    public ulong NetworkInode { get; init; }

    /// <summary>The scratch disk, which has a name only until the machine has opened it.</summary>
    public string? ScratchDisk { get; init; }

    /// <summary>Images of containers' roots, which have names only until the machine has opened them.</summary>
    public IReadOnlyList<string> RootImages { get; init; } = [];

    /// <summary>The file that keeps the number of the monitor's user; null for none.</summary>
    public string? JailUser { get; init; }

    /// <summary>The directories of the pod's cgroup.</summary>
    public IReadOnlyList<string> Cgroups { get; init; } = [];

    /// <summary>The directories of the manager's cgroup for the pod, above <see cref="Cgroups"/>.</summary>
    public IReadOnlyList<string> ManagerCgroups { get; init; } = [];

    public IReadOnlyList<ProcessRecord> Processes { get; init; } = [];

    /// <summary>Null if there is none, or it was cut off.</summary>
    public static MachineRecord? TryRead(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), MachineRecordJson.Default.MachineRecord);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes it whole or not at all.</summary>
    public void Write(string path)
    {
        string next = path + ".next";
        File.WriteAllBytes(next, JsonSerializer.SerializeToUtf8Bytes(this, MachineRecordJson.Default.MachineRecord));
        File.Move(next, path, overwrite: true);
    }
}

/// <summary>A process, told from later ones of its number by when it began.</summary>
internal sealed record ProcessRecord(int Pid, long StartTime);

[JsonSerializable(typeof(MachineRecord))]
internal sealed partial class MachineRecordJson : JsonSerializerContext;
