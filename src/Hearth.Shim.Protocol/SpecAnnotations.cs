namespace Hearth.Shim.Protocol;

/// <summary>Hearth's own annotations of a bundle's specification: what its manager tells the shim that OCI has no word for. Source: docs/shim-protocol.md.</summary>
public static class SpecAnnotations
{
    /// <summary>The id of a pod without a sandbox, where that is not its first container's.</summary>
    public const string OwnPod = "io.hearth.pod-id";

    /// <summary><c>true</c>: the machine's limits are those of the cgroup that <c>linux.cgroupsPath</c> names.</summary>
    public const string LimitsCgroup = "io.hearth.limits-cgroup";

    /// <summary><c>true</c>: the program is looked for at the start, not before.</summary>
    public const string ProgramAtStart = "io.hearth.program-at-start";

    /// <summary><c>true</c>: the standard input ends with the first who has written to it.</summary>
    public const string StdinOnce = "io.hearth.stdin-once";

    /// <summary>The container whose processes this one sees.</summary>
    public const string PidTarget = "io.hearth.pid-target";

    /// <summary>How many vCPUs the machine has.</summary>
    public const string Vcpus = "io.hearth.vcpus";

    /// <summary>The machine's memory, in MiB.</summary>
    public const string MemoryMib = "io.hearth.memory-mib";
}
