using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hearth.Oci.Runtime;

/// <summary>
/// A container's configuration, <c>config.json</c>, as far as Linux goes. What it does not name is passed over when read.
/// Source: OCI runtime-spec 1.2 config.md, config-linux.md.
/// </summary>
public sealed record RuntimeSpec
{
    public string OciVersion { get => field ?? "1.2.0"; init; }

    public ProcessSpec? Process { get; init; }

    public RootSpec? Root { get; init; }

    public string? Hostname { get; init; }

    public string? Domainname { get; init; }

    /// <summary>Mounted in this order.</summary>
    public IReadOnlyList<MountSpec> Mounts { get => field ?? []; init; }

    public HooksSpec? Hooks { get; init; }

    public LinuxSpec? Linux { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <exception cref="JsonException">This is no runtime specification, or one of another major version.</exception>
    public static RuntimeSpec Parse(ReadOnlySpan<byte> json)
    {
        RuntimeSpec spec = JsonSerializer.Deserialize(json, RuntimeJson.Default.RuntimeSpec) ?? throw new JsonException("The specification is null.");
        // Source: spec.md, compliance; semantic versions: what was said before 1.0 may be anything.
        return spec.OciVersion.StartsWith("1.", StringComparison.Ordinal)
            ? spec
            : throw new JsonException($"its ociVersion is \"{spec.OciVersion}\", and only 1.x is known: use a manager that writes that, or a later Hearth.");
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, RuntimeJson.Default.RuntimeSpec);
}

/// <summary>Where the container's root is.</summary>
public sealed record RootSpec
{
    public string Path { get => field ?? ""; init; }

    public bool Readonly { get; init; }
}

/// <summary>A mount. Source: config.md, Mounts.</summary>
public sealed record MountSpec
{
    /// <summary>An option, before a path: only what is there in the source is mounted, and no link leads out of it. Source: mount(8), X-mount.subdir.</summary>
    public const string Subdirectory = "X-mount.subdir=";

    /// <summary>An absolute path in the container.</summary>
    public required string Destination { get; init; }

    /// <summary>A file system type, or <c>bind</c>.</summary>
    public string? Type { get; init; }

    public string? Source { get; init; }

    /// <summary>As of fstab: <c>ro</c>, <c>nosuid</c>, <c>rbind</c>, <c>rslave</c>, and the file system's own.</summary>
    public IReadOnlyList<string> Options { get => field ?? []; init; }
}

/// <summary>Programs that a runtime runs at points of a container's life.</summary>
public sealed record HooksSpec
{
    public IReadOnlyList<HookSpec> Prestart { get => field ?? []; init; }

    public IReadOnlyList<HookSpec> CreateRuntime { get => field ?? []; init; }

    public IReadOnlyList<HookSpec> CreateContainer { get => field ?? []; init; }

    public IReadOnlyList<HookSpec> StartContainer { get => field ?? []; init; }

    public IReadOnlyList<HookSpec> Poststart { get => field ?? []; init; }

    public IReadOnlyList<HookSpec> Poststop { get => field ?? []; init; }

    /// <summary>Whether there is none.</summary>
    [JsonIgnore]
    public bool IsEmpty => Prestart.Count + CreateRuntime.Count + CreateContainer.Count + StartContainer.Count + Poststart.Count + Poststop.Count == 0;
}

/// <summary>One program of <see cref="HooksSpec"/>.</summary>
public sealed record HookSpec
{
    public required string Path { get; init; }

    public IReadOnlyList<string> Args { get => field ?? []; init; }

    public IReadOnlyList<string> Env { get => field ?? []; init; }

    /// <summary>Seconds.</summary>
    public int? Timeout { get; init; }
}
