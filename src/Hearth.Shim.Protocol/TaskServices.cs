namespace Hearth.Shim.Protocol;

/// <summary>What the services on a shim's socket are called on the wire.</summary>
public static class TaskServices
{
    /// <summary>containerd 1.x and CRI-O.</summary>
    public const string TaskV2 = "containerd.task.v2.Task";

    /// <summary>containerd 2.x.</summary>
    public const string TaskV3 = "containerd.task.v3.Task";

    /// <summary>containerd 2.x, of a runtime whose sandboxer is "shim".</summary>
    public const string Sandbox = "containerd.runtime.sandbox.v1.Sandbox";

    /// <summary>Hearth's own, <c>pod.proto</c>.</summary>
    public const string Pod = "hearth.shim.v1.Pod";

    /// <summary>The manager's, where events go.</summary>
    public const string Events = "containerd.services.events.ttrpc.v1.Events";

    /// <summary>The type of <c>ExecProcessRequest.spec</c>: an OCI process, as JSON.</summary>
    public const string ProcessType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

    /// <summary>The type of <c>UpdateTaskRequest.resources</c>: OCI linux.resources, as JSON.</summary>
    public const string ResourcesType = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
}
