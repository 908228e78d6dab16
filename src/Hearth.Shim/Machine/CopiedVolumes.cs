using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Ttrpc;

namespace Hearth.Shim.Machine;

/// <summary>
/// Volumes of a machine without virtio-fs: small files and directories are copied into the guest, read-only, and copied again
/// when they change, file by file. An empty directory becomes one of the guest's own, which its containers may write to.
/// Thread: any.
/// </summary>
internal sealed class CopiedVolumes : IAsyncDisposable
{
    private const string GuestFiles = "/run/hearth/files";
    private const int MaxBytes = 1 << 20;
    private const int MaxEntries = 1000;
    private const int MaxDepth = 16;

    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(1);

    private readonly AgentClient _agent;
    private readonly CancellationTokenSource _end = new();

    // Guards _volumes and _last, over the calls to the agent too.
    private readonly SemaphoreSlim _lock = new(1, 1);
    private readonly Dictionary<string, Volume> _volumes = new(StringComparer.Ordinal);
    private readonly Task _following;
    private int _last;

    public CopiedVolumes(AgentClient agent)
    {
        _agent = agent;
        _following = FollowAsync();
    }

    /// <summary>Copies what is at a path; containers of the pod that name the same path share the copy.</summary>
    /// <returns>Where it is in the guest, and whether containers may only read it.</returns>
    /// <exception cref="HearthException">It is not there, or too large to be copied.</exception>
    public async Task<(string Source, bool IsReadOnly)> AddAsync(string containerId, string source, CancellationToken cancellation)
    {
        await _lock.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (!_volumes.TryGetValue(source, out Volume? volume))
            {
                Dictionary<string, Entry> entries = Scan(source);
                volume = new Volume { Name = $"volume-{++_last}", IsOwn = entries.Count == 1 && entries[""].IsDirectory };
                await SendAsync(volume, source, entries, cancellation).ConfigureAwait(false);
                _volumes[source] = volume;
            }

            volume.Users.Add(containerId);
            return ($"{GuestFiles}/{volume.Name}", !volume.IsOwn);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Forgets what only this container had.</summary>
    public async Task RemoveAsync(string containerId)
    {
        await _lock.WaitAsync().ConfigureAwait(false);
        try
        {
            foreach ((string source, Volume volume) in _volumes.ToArray())
            {
                if (volume.Users.Remove(containerId) && volume.Users.Count == 0)
                {
                    _volumes.Remove(source);
                    await _agent.WriteFilesAsync(new WriteFilesRequest { Removed = { volume.Name } }, _end.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is TtrpcException or OperationCanceledException)
        {
            // The copies go with the guest.
        }
        finally
        {
            _lock.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _following.ConfigureAwait(false);
        _end.Dispose();
        _lock.Dispose();
    }

    // Links are followed, as those are that the kubelet swaps; the folders that it swaps begin with two dots.
    private static Dictionary<string, Entry> Scan(string source)
    {
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        long bytes = 0;
        Add("", source, 0);
        return entries;

        void Add(string name, string path, int depth)
        {
            bool isDirectory = Directory.Exists(path);
            if (!isDirectory && !File.Exists(path))
            {
                // A dangling link, a socket; or the volume itself is gone.
                if (name.Length == 0)
                {
                    throw new HearthException($"The mount's source {source} is not there: make it first.");
                }

                return;
            }

            var file = new FileInfo(path);
            FileSystemInfo target = file.ResolveLinkTarget(returnFinalTarget: true) ?? file;
            long length = isDirectory ? 0 : ((FileInfo)target).Length;
            entries[name] = new Entry(isDirectory, length, target.LastWriteTimeUtc, (uint)target.UnixFileMode);
            bytes += length;
            if (bytes > MaxBytes || entries.Count > MaxEntries || depth > MaxDepth)
            {
                throw new HearthException(
                    $"The volume {source} is larger than the {MaxBytes >> 10} KiB in {MaxEntries} files that are copied to a machine without virtio-fs: use hearth-vmm as monitor.");
            }

            foreach (string child in isDirectory ? Directory.EnumerateFileSystemEntries(path) : [])
            {
                string childName = Path.GetFileName(child);
                if (!childName.StartsWith("..", StringComparison.Ordinal))
                {
                    Add(name.Length == 0 ? childName : $"{name}/{childName}", child, depth + 1);
                }
            }
        }
    }

    private async Task SendAsync(Volume volume, string source, Dictionary<string, Entry> now, CancellationToken cancellation)
    {
        var request = new WriteFilesRequest();
        request.Removed.Add(volume.Entries.Keys.Where(name => !now.TryGetValue(name, out Entry? entry) || entry.IsDirectory != volume.Entries[name].IsDirectory).Select(volume.NameOf));
        foreach ((string name, Entry entry) in now.OrderBy(static pair => pair.Key, StringComparer.Ordinal))
        {
            if (volume.Entries.GetValueOrDefault(name) != entry)
            {
                ByteString content = entry.IsDirectory ? ByteString.Empty : UnsafeByteOperations.UnsafeWrap(await File.ReadAllBytesAsync(Path.Join(source, name), cancellation).ConfigureAwait(false));
                request.Files.Add(new GuestFile { Name = volume.NameOf(name), Directory = entry.IsDirectory, Mode = entry.Mode, Content = content });
            }
        }

        if (request.Files.Count + request.Removed.Count > 0)
        {
            await _agent.WriteFilesAsync(request, cancellation).ConfigureAwait(false);
        }

        volume.Entries = now;
    }

    private async Task FollowAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(s_period, _end.Token).ConfigureAwait(false);
                await _lock.WaitAsync(_end.Token).ConfigureAwait(false);
                try
                {
                    foreach ((string source, Volume volume) in _volumes.Where(static pair => !pair.Value.IsOwn))
                    {
                        await RefreshAsync(source, volume).ConfigureAwait(false);
                    }
                }
                finally
                {
                    _lock.Release();
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or TtrpcException)
        {
            // The machine ends.
        }
    }

    private async Task RefreshAsync(string source, Volume volume)
    {
        try
        {
            await SendAsync(volume, source, Scan(source), _end.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or HearthException)
        {
            // Changed while it was read, or grown too large: the copy stays as it was until it can be made again.
        }
    }

    private sealed record Entry(bool IsDirectory, long Length, DateTime Written, uint Mode)
    {
        // A folder's time says nothing that its entries do not.
        public bool Equals(Entry? other) =>
            other is not null && IsDirectory == other.IsDirectory && Mode == other.Mode && (IsDirectory || (Length == other.Length && Written == other.Written));

        public override int GetHashCode() => HashCode.Combine(IsDirectory, Mode);
    }

    private sealed class Volume
    {
        public required string Name { get; init; }

        /// <summary>Whether it is the guest's own from the beginning on.</summary>
        public required bool IsOwn { get; init; }

        public HashSet<string> Users { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, Entry> Entries { get; set; } = new(StringComparer.Ordinal);

        public string NameOf(string entry) => entry.Length == 0 ? Name : $"{Name}/{entry}";
    }
}
