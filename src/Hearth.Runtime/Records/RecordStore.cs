using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Hearth.Linux;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Records;

/// <summary>
/// What is known of pods and containers, a file for each: <c>pods/ID.json</c>, <c>containers/ID.json</c>. Each file is replaced as a
/// whole, so that what is read after any end of this process is what was written last. Thread: any, one for a record at a time.
/// </summary>
internal sealed class RecordStore : IDisposable
{
    private readonly string _pods;
    private readonly string _containers;
    private readonly FileStream _lock;

    /// <exception cref="PodException">FailedPrecondition: another process has the folder. ResourceExhausted, Internal: it cannot be written.</exception>
    public RecordStore(string root)
    {
        _pods = Path.Combine(root, "pods");
        _containers = Path.Combine(root, "containers");
        try
        {
            // Environments of containers hold secrets.
            Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            Directory.CreateDirectory(_pods);
            Directory.CreateDirectory(_containers);
            _lock = new FileStream(Path.Combine(root, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException e) when (e.HResult == (int)Errno.EAGAIN)
        {
            throw new PodException(PodFault.FailedPrecondition, $"Another hearthd has the folder {root} (daemon.root). Stop it, or give this one a folder of its own.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(root, e);
        }
    }

    /// <summary>For tests, which end the manager here: called with the path before a record is written or deleted.</summary>
    public Action<string> BeforeWrite { get; set; } = static _ => { };

    public void Dispose() => _lock.Dispose();

    /// <param name="pod">To be written.</param>
    /// <param name="flush">False for what means nothing after a reboot: a pod that is being made.</param>
    public void Write(Pod pod, bool flush = true) => Write(Path.Combine(_pods, pod.Id + ".json"), pod, RecordJson.Default.Pod, flush);

    public void Write(Container container, bool flush = true) =>
        Write(Path.Combine(_containers, container.Id + ".json"), container, RecordJson.Default.Container, flush);

    public void DeletePod(string id) => Delete(Path.Combine(_pods, id + ".json"));

    public void DeleteContainer(string id) => Delete(Path.Combine(_containers, id + ".json"));

    /// <summary>Reads everything. What a power failure left half-written is removed and told of.</summary>
    public (IReadOnlyList<Pod> Pods, IReadOnlyList<Container> Containers) Load(Action<string> log) =>
        (Load(_pods, RecordJson.Default.Pod, static pod => pod.Id, log), Load(_containers, RecordJson.Default.Container, static container => container.Id, log));

    /// <summary>A record as people read it.</summary>
    public static string ToJson(Pod pod) => JsonSerializer.Serialize(pod, RecordJson.Default.Pod);

    public static string ToJson(Container container) => JsonSerializer.Serialize(container, RecordJson.Default.Container);

    private static List<T> Load<T>(string folder, JsonTypeInfo<T> type, Func<T, string> id, Action<string> log)
        where T : class
    {
        var found = new List<T>();
        foreach (string path in Directory.GetFiles(folder))
        {
            T? record = null;
            if (path.EndsWith(".json", StringComparison.Ordinal))
            {
                try
                {
                    record = JsonSerializer.Deserialize(File.ReadAllBytes(path), type);
                }
                catch (JsonException e)
                {
                    log($"The record {path} is damaged, and is removed: {e.Message}");
                }
            }

            if (record is not null && id(record) == Path.GetFileNameWithoutExtension(path))
            {
                found.Add(record);
            }
            else
            {
                // Also what a write that was cut off left under its temporary name.
                File.Delete(path);
            }
        }

        return found;
    }

    private void Write<T>(string path, T record, JsonTypeInfo<T> type, bool flush)
    {
        BeforeWrite(path);
        try
        {
            DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(record, type), flush);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            throw Failure(path, e);
        }
    }

    private void Delete(string path)
    {
        BeforeWrite(path);
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(path, e);
        }
    }

    private static PodException Failure(string path, Exception e) => DurableFile.IsFull(e)
        ? new PodException(PodFault.ResourceExhausted, $"The disk with {path} is full: make room.", e)
        : new PodException(PodFault.Internal, $"Cannot write {path}: {e.Message}", e);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(Pod))]
[JsonSerializable(typeof(Container))]
internal sealed partial class RecordJson : JsonSerializerContext;
