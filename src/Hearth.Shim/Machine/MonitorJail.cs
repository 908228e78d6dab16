using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>
/// A jail for a pod's monitor: a root directory with nothing in it but what it is lent, file by file, by bind mounts that
/// reach it while it runs; and a user of its own. Thread: any.
/// </summary>
internal sealed class MonitorJail : IMonitorFiles
{
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode Everyones = OwnersOnly | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly string _id;
    private readonly string _program;
    private readonly string _base;
    private readonly string _root;
    private readonly string _stage;
    private readonly JailCgroup? _cgroup;
    private readonly FileDescriptor _descriptor;

    // Guards _lent and the mounts.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _lent = new(StringComparer.Ordinal);
    private int _last;

    /// <param name="folder">The pod's.</param>
    /// <param name="program">The monitor: a static program.</param>
    /// <param name="id">Letters, digits and hyphens.</param>
    /// <param name="owner">Its user's number, and its group's.</param>
    /// <param name="cgroup">The pod's; null for none.</param>
    public MonitorJail(string folder, string program, string id, uint owner, JailCgroup? cgroup)
    {
        _id = id;
        _program = program;
        _cgroup = cgroup;
        Owner = owner;
        _base = $"{folder}/{PodFolder.JailName}";
        _root = $"{_base}/{Path.GetFileName(program)}/{id}/root";
        _stage = $"{_base}/stage";
        Directory.CreateDirectory(_root, OwnersOnly);
        File.WriteAllBytes(_stage, []);
        Directory.CreateDirectory($"{_root}/f");
        File.SetUnixFileMode($"{_root}/f", Everyones);
        // Shared with the jail's mount namespace, which is to come, and with no other.
        Mounts.Mount(_root, _root, null, SysMount.MS_BIND);
        Mounts.Mount(null, _root, null, SysMount.MS_PRIVATE);
        Mounts.Mount(null, _root, null, SysMount.MS_SHARED);
        _descriptor = FileDescriptor.Open(_root, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
    }

    public uint? Owner { get; }

    /// <summary>Its root directory on the host.</summary>
    public string Root => _root;

    public (string Here, string There) ApiSocket => Socket("api.sock");

    public (string Here, string There) VsockSocket => Socket("v.sock");

    /// <summary>The jailer's arguments.</summary>
    public IReadOnlyList<string> Arguments(string? networkNamespace, IReadOnlyList<string> forProgram)
    {
        string owner = Owner!.Value.ToString(CultureInfo.InvariantCulture);
        string[] network = networkNamespace is null ? [] : ["--netns", networkNamespace];
        return ["--id", _id, "--exec-file", _program, "--uid", owner, "--gid", owner, "--chroot-base-dir", _base, .. network, .. _cgroup?.Arguments ?? [], "--", .. forProgram];
    }

    public string Lend(string hostPath, bool writable)
    {
        lock (_lock)
        {
            if (!_lent.TryGetValue(hostPath, out int number))
            {
                number = ++_last;
                string target = TargetOf(number);
                File.WriteAllBytes(target, []);
                Bind(hostPath, target, writable);
                _lent[hostPath] = number;
            }

            return string.Create(CultureInfo.InvariantCulture, $"/f/{number}");
        }
    }

    public void TakeBack(string hostPath)
    {
        lock (_lock)
        {
            if (_lent.Remove(hostPath, out int number))
            {
                Mounts.Detach(TargetOf(number));
                File.Delete(TargetOf(number));
            }
        }
    }

    public string Translate(string message)
    {
        lock (_lock)
        {
            // Longer numbers first: /f/1 is the beginning of /f/12.
            foreach ((string path, int number) in _lent.OrderByDescending(static lent => lent.Value))
            {
                message = message.Replace(string.Create(CultureInfo.InvariantCulture, $"/f/{number}"), path, StringComparison.Ordinal);
            }

            return message;
        }
    }

    /// <summary>Takes away what a jail has left in a pod's folder.</summary>
    public static void Remove(string folder)
    {
        string jails = $"{folder}/{PodFolder.JailName}";
        if (!Directory.Exists(jails))
        {
            return;
        }

        while (Mounts.Detach($"{jails}/stage"))
        {
        }

        foreach (string root in Directory.EnumerateDirectories(jails).SelectMany(Directory.EnumerateDirectories).Select(static jail => $"{jail}/root"))
        {
            // With what is lent below it, which are files: one that were still mounted could not be deleted.
            while (Mounts.Detach(root))
            {
            }
        }

        Directory.Delete(jails, recursive: true);
    }

    public void Dispose() => _descriptor.Dispose();

    // The monitor's mount namespace gets a copy of each mount as it is when it is made here, and nothing of what is changed of it
    // later: one that is to be read-only is made elsewhere first.
    private void Bind(string hostPath, string target, bool writable)
    {
        if (writable)
        {
            Mounts.Mount(hostPath, target, null, SysMount.MS_BIND);
            return;
        }

        Mounts.Mount(hostPath, _stage, null, SysMount.MS_BIND);
        try
        {
            Mounts.SetReadOnly(_stage);
            Mounts.Mount(_stage, target, null, SysMount.MS_BIND);
        }
        finally
        {
            Mounts.Detach(_stage);
        }
    }

    private string TargetOf(int number) => string.Create(CultureInfo.InvariantCulture, $"{_root}/f/{number}");

    // By a descriptor: the path is longer than a socket's may be.
    private (string Here, string There) Socket(string name) => ($"{_descriptor.Door}/run/{name}", $"/run/{name}");
}
