using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Stdio;

namespace Hearth.Programs.Agent.Containers;

/// <summary>Tells when the kernel kills in a cgroup for its memory limit. The kernel wakes who polls memory.events. Runs on the loop.</summary>
internal sealed class OutOfMemoryWatch
{
    private readonly EventLoop _loop;
    private readonly Cgroup _cgroup;
    private readonly Action _happened;
    private readonly WatchedDescriptor? _events;
    private ulong _kills;

    public OutOfMemoryWatch(EventLoop loop, Cgroup cgroup, Action happened)
    {
        _loop = loop;
        _cgroup = cgroup;
        _happened = happened;
        string path = Path.Combine(cgroup.Path, "memory.events");
        if (!File.Exists(path))
        {
            return;
        }

        _events = new WatchedDescriptor(loop, FileDescriptor.Open(path, Fcntl.O_RDONLY), _ => Look());
        loop.Post(() =>
        {
            Look();
            _events.WaitFor(EpollEvents.Priority);
        });
    }

    public void Close() => _loop.Post(() => _events?.Dispose());

    private void Look()
    {
        // Read through this descriptor: that is what quiets it until the next change.
        Span<byte> text = stackalloc byte[512];
        _ = Unistd.lseek(_events!.Descriptor.Number, 0, 0);
        _ = Polling.Read(_events.Descriptor, text);
        ulong kills = _cgroup.ReadNumbers("memory.events").GetValueOrDefault("oom_kill");
        if (kills > _kills)
        {
            _kills = kills;
            _happened();
        }
    }
}
