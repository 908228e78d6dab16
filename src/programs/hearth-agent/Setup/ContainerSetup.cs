using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Agent.Setup;

/// <summary>What the agent tells the process that becomes a container's: a memory file of JSON.</summary>
internal sealed record ContainerSetup
{
    /// <summary>What it becomes, with everything looked up.</summary>
    public required ProcessSpec Process { get; init; }

    /// <summary>Terminal's descriptors are passed back; without, 0 to 2 are as they were given.</summary>
    public bool Terminal => Process.Terminal;

    /// <summary>The container that it makes; null if it enters one, by the pidfd that it is given.</summary>
    public RuntimeSpec? Container { get; init; }

    /// <summary>Where that one's root is mounted.</summary>
    public string RootPath { get; init; } = "";

    /// <summary>The container's own cgroup, for a mount of cgroups without a cgroup namespace.</summary>
    public string CgroupPath { get; init; } = "";

    /// <summary>Whether its program is looked for before the process is ready, and not only when it starts.</summary>
    public bool FindProgram { get; init; }

    /// <summary><c>CLONE_NEW*</c> to unshare, or to enter.</summary>
    public int Namespaces { get; init; }

    /// <summary>A seccomp program; null for none.</summary>
    public byte[]? Filter { get; init; }

    public uint FilterFlags { get; init; }

    public static byte[] BytesOf(sock_filter[] program) => MemoryMarshal.AsBytes(program.AsSpan()).ToArray();

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, SetupJson.Default.ContainerSetup);

    public static ContainerSetup Parse(ReadOnlySpan<byte> json) => JsonSerializer.Deserialize(json, SetupJson.Default.ContainerSetup)!;
}

/// <summary>Readers and writers, made at build time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ContainerSetup))]
internal sealed partial class SetupJson : JsonSerializerContext;
