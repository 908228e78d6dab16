using System.Text.Json;
using System.Text.Json.Serialization;
using Hearth.Linux;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>What is kept of a container between calls: a folder under the root, with its own bundle for the shim.</summary>
internal sealed record ContainerState
{
    public required string Id { get; init; }

    /// <summary>As the manager gave it.</summary>
    public required string Bundle { get; init; }

    /// <summary>Where its shim listens.</summary>
    public required string Shim { get; init; }

    /// <summary>The id of the pod whose machine it is in: the first container's, as a rule.</summary>
    public required string PodId { get; init; }

    /// <summary>The inode of its network namespace, which no other has as long as its machine is in it.</summary>
    public ulong Network { get; init; }

    /// <summary>Of the process that stands for it on the host.</summary>
    public required int Pid { get; init; }

    /// <summary>Of that process, so that another under its number is not taken for it: field 22 of /proc/PID/stat.</summary>
    public required string PidStart { get; init; }

    /// <summary>That process's; null for none of its own.</summary>
    public string? Cgroup { get; init; }

    /// <summary>Those of containers that were removed before, in one of which the machine is.</summary>
    public IReadOnlyList<string> LeftCgroups { get; init; } = [];

    public required string OciVersion { get; init; }

    public required DateTimeOffset Created { get; init; }

    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = false)]
[JsonSerializable(typeof(ContainerState))]
internal sealed partial class StateJson : JsonSerializerContext;

/// <summary>The folder of all containers: <c>--root</c>.</summary>
internal sealed class StateFolder(string root)
{
    /// <summary>Of <see cref="BundleOf"/>, in the container's folder.</summary>
    public const string BundleName = "bundle";

    private const string StateFile = "state.json";

    public string Root { get; } = Path.GetFullPath(root);

    public string Of(string id) => Path.Combine(Root, id);

    /// <summary>The bundle that the shim is given.</summary>
    public string BundleOf(string id) => Path.Combine(Root, id, BundleName);

    /// <summary>Whether a shim may have been given a specification.</summary>
    public bool HasBundle(string id) => File.Exists(ConfigOf(id));

    /// <summary>The specification that the shim was given.</summary>
    public RuntimeSpec SpecOf(string id) => RuntimeSpec.Parse(File.ReadAllBytes(ConfigOf(id)));

    /// <summary>Where that is.</summary>
    public string ConfigOf(string id) => Path.Combine(BundleOf(id), "config.json");

    /// <summary>Takes an id: nobody else has it from now on.</summary>
    /// <exception cref="OciException">It is taken.</exception>
    public void Reserve(string id)
    {
        Directory.CreateDirectory(Root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // Of two at a time, one.
        using FileDescriptor locked = FolderLock.Take(Root);
        if (Directory.Exists(Of(id)))
        {
            throw new OciException($"container with id exists: {id}");
        }

        Directory.CreateDirectory(BundleOf(id));
    }

    public void Write(ContainerState state)
    {
        string path = Path.Combine(Of(state.Id), StateFile);
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(state, StateJson.Default.ContainerState));
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Leaves cgroups that cannot be removed yet to another container of the pod, which removes them with its own; without one they stay.</summary>
    /// <param name="state">The container that goes.</param>
    /// <param name="cgroups">Those of its own, and those left to it.</param>
    public void PassOn(ContainerState state, IReadOnlyList<string> cgroups)
    {
        using FileDescriptor locked = FolderLock.Take(Root);
        if (cgroups.Count > 0 && All().FirstOrDefault(other => other.Id != state.Id && other.PodId == state.PodId) is { } heir)
        {
            Write(heir with { LeftCgroups = [.. heir.LeftCgroups, .. cgroups] });
        }
    }

    /// <exception cref="OciException">There is no such container.</exception>
    public ContainerState Read(string id) => TryRead(id) ?? throw new OciException($"container does not exist: {id}");

    public ContainerState? TryRead(string id)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(Of(id), StateFile)), StateJson.Default.ContainerState);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    public IEnumerable<ContainerState> All() =>
        Directory.Exists(Root) ? Directory.EnumerateDirectories(Root).Select(folder => TryRead(Path.GetFileName(folder))).OfType<ContainerState>().OrderBy(state => state.Id, StringComparer.Ordinal) : [];

    public void Remove(string id)
    {
        if (Directory.Exists(Of(id)))
        {
            Directory.Delete(Of(id), recursive: true);
        }
    }
}
