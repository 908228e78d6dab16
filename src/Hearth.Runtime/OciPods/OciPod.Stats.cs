using Hearth.Linux;
using Hearth.Network.Pods;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>What the pod uses.</summary>
internal sealed partial class OciPod
{
    // Counting a writable layer walks over its files.
    private static readonly TimeSpan s_writableAge = TimeSpan.FromSeconds(15);

    public async Task<PodSample> StatsAsync(CancellationToken cancellation)
    {
        var containers = new List<ContainerSample>();
        foreach (OciContainer container in _containers.Values)
        {
            if (_cgroup.Sample(container.Id, _paths.WritableOf(container.Id)) is { } sample && !container.Ended.Task.IsCompleted)
            {
                (ulong bytes, ulong inodes, _) = WritableOf(container);
                containers.Add(sample with { WritableBytes = bytes, WritableInodes = inodes });
            }
        }

        (ulong memory, ulong cpu) = _cgroup.SamplePod();
        return new PodSample
        {
            TakenAt = DateTimeOffset.UtcNow,
            Containers = containers,
            Interfaces = await InterfacesAsync().ConfigureAwait(false),
            HostMemoryBytes = memory,
            HostCpuNanoseconds = cpu,
        };
    }

    private async Task<IReadOnlyList<InterfaceUse>> InterfacesAsync()
    {
        if (Namespaces.Network == NamespaceMode.Node)
        {
            // The host's interfaces are not this pod's use.
            return [];
        }

        try
        {
            return [.. from pair in await PodNetwork.StatisticsAsync(Pod.NetworkNamespace).ConfigureAwait(false)
                       let use = pair.Value
                       select new InterfaceUse(pair.Key, use.ReceivedBytes, use.ReceivedErrors, use.SentBytes, use.SentErrors)];
        }
        catch (HearthException)
        {
            // The namespace was given back meanwhile.
            return [];
        }
    }

    private (ulong Bytes, ulong Inodes, DateTimeOffset At) WritableOf(OciContainer container)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        if (now - container.Writable.At < s_writableAge)
        {
            return container.Writable;
        }

        ulong bytes = 0, inodes = 0;
        var folder = new DirectoryInfo(Path.Combine(_paths.WritableOf(container.Id), "upper"));
        try
        {
            var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true, ReturnSpecialDirectories = false };
            foreach (FileSystemInfo entry in folder.EnumerateFileSystemInfos("*", all))
            {
                inodes++;
                bytes += entry is FileInfo { LinkTarget: null } file ? (ulong)file.Length : 0;
            }
        }
        catch (IOException)
        {
            // A tree that changes while it is walked: what was counted so far.
        }

        return container.Writable = (bytes, inodes, now);
    }
}
