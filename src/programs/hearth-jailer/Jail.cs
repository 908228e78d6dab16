using System.Globalization;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Jailer;

/// <summary>
/// Builds the jail around this process, then becomes the program (or starts it, where it has to be another process). Thread:
/// the program's first; namespaces, root and credentials are the thread's own, and the exec takes them over. Source:
/// Firecracker docs/jailer.md.
/// <para>Deviates: the capability bounding set is emptied and no_new_privs is set, so that a program with uid 0 has no
/// capabilities either; device nodes are made for what the host has; what is left in the jail from a run before is replaced;
/// no symbolic link that a jailed program left is followed; /dev and the program work on a base that is mounted nodev or
/// noexec; <c>--daemonize</c> starts the program once, as leader of its session, where Firecracker forks twice.</para>
/// </summary>
internal sealed class Jail
{
    private const uint FolderMode = 0x1c0;
    private const uint ProgramMode = 0x16d;
    private const uint PidFileMode = 0x1a4;

    private readonly JailerArguments _arguments;
    private readonly JailerClock _started;
    private readonly string _program;
    private readonly string _name;
    private readonly IReadOnlyList<FileDescriptor> _streams;

    private Jail(JailerArguments arguments, JailerClock started)
    {
        _arguments = arguments;
        _started = started;
        _program = Resolve(arguments.ExecFile);
        _name = Path.GetFileName(_program);
        // The host's /dev/null: the jail has none.
        FileDescriptor? nothing = arguments.Daemonize ? FileDescriptor.Open("/dev/null", Fcntl.O_RDWR) : null;
        _streams = [.. Enumerable.Range(0, 3).Select(number => nothing ?? new FileDescriptor(number, ownsHandle: false))];
    }

    /// <summary>Comes back if the program was started as a process of its own; if this process becomes it, only by throwing.</summary>
    /// <exception cref="HearthException">The jail cannot be built. What was made of it stays.</exception>
    public static void Enter(JailerArguments arguments, JailerClock started, Action<string> warn)
    {
        var jail = new Jail(arguments, started);
        // First: what is opened from here on belongs to the mounts of the jail.
        Namespaces.Unshare(Sched.CLONE_NEWNS);
        Mounts.Mount(null, "/", null, SysMount.MS_SLAVE | SysMount.MS_REC);
        IReadOnlyList<(string Directory, string Name, ulong Device)> devices = HostDevices.Find(warn);
        using (DirectoryHandle root = jail.MakeRoot())
        {
            jail.JoinNetwork();
            jail.SetLimits();
            JailCgroups.Enter(arguments, arguments.ParentCgroup ?? jail._name);
            Mounts.PivotRoot(root.Descriptor);
        }

        using DirectoryHandle inside = DirectoryHandle.Open("/");
        HostDevices.Make(inside, devices, arguments.Uid, arguments.Gid, FolderMode);
        using (DirectoryHandle run = inside.MakeDirectory("run", FolderMode))
        {
            run.SetOwner(arguments.Uid, arguments.Gid, FolderMode);
        }

        using FileDescriptor pidFile = inside.ReplaceFile($"{jail._name}.pid", PidFileMode);
        inside.SetOwner(arguments.Uid, arguments.Gid, FolderMode);
        jail.Start(pidFile);
    }

    // The host's path of a regular file, links followed: who runs the jailer chose it.
    private static string Resolve(string path)
    {
        try
        {
            using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_PATH);
            return FileStatus.Of(file).IsRegular && File.ResolveLinkTarget(Mounts.PathOf(file), returnFinalTarget: false) is { } target
                ? target.FullName
                : throw new JailerException($"{path} is not a file");
        }
        catch (LinuxException e)
        {
            throw new JailerException($"Failed to canonicalize path {path}: {e.Reason}");
        }
    }

    /// <summary>Makes <c>BASE/NAME/ID/root</c> with the program in it, and mounts it on itself.</summary>
    private DirectoryHandle MakeRoot()
    {
        using DirectoryHandle home = DirectoryHandle.Open(_arguments.BaseDirectory);
        using DirectoryHandle jails = home.MakeDirectory(_name, FolderMode);
        using DirectoryHandle own = jails.MakeDirectory(_arguments.Id, FolderMode);
        using (DirectoryHandle plain = own.MakeDirectory("root", FolderMode))
        {
            CopyProgram(plain);
            string path = Mounts.PathOf(plain.Descriptor);
            // With what is mounted below: whoever prepared the jail may have lent it files that way.
            Mounts.Mount(path, path, null, SysMount.MS_BIND | SysMount.MS_REC);
        }

        DirectoryHandle root = own.OpenDirectory("root");
        // What /run and /tmp are often mounted with, nodev and noexec, is for others than this jail.
        Mounts.Mount(null, Mounts.PathOf(root.Descriptor), null, SysMount.MS_REMOUNT | SysMount.MS_BIND | SysMount.MS_NOSUID);
        return root;
    }

    private void CopyProgram(DirectoryHandle root)
    {
        using FileDescriptor program = FileDescriptor.Open(_program, Fcntl.O_RDONLY);
        if (!FileStatus.Of(program).IsRegular)
        {
            throw new JailerException($"{_arguments.ExecFile} is not a file");
        }

        // Root's, and not writable: the program cannot change itself for the next run.
        using FileDescriptor copy = root.ReplaceFile(_name, ProgramMode);
        DirectoryHandle.Copy(program, copy);
    }

    private void JoinNetwork()
    {
        if (_arguments.NetworkNamespace is { } path)
        {
            using FileDescriptor network = FileDescriptor.Open(path, Fcntl.O_RDONLY, 0, "Is it the file of a network namespace (ip netns)?");
            Namespaces.Join(network, Sched.CLONE_NEWNET);
        }
    }

    private void SetLimits()
    {
        if (_arguments.FileSizeLimit is { } bytes)
        {
            Credentials.SetLimit(SysResource.RLIMIT_FSIZE, bytes, bytes);
        }

        Credentials.SetLimit(SysResource.RLIMIT_NOFILE, _arguments.FilesLimit, _arguments.FilesLimit);
    }

    private void Start(FileDescriptor pidFile)
    {
        string path = $"/{_name}";
        bool apart = _arguments.Daemonize || _arguments.NewPidNamespace;
        bool newSession = _arguments.Daemonize || (apart && ProcessImage.LeadsSession);
        if (!apart)
        {
            WritePid(pidFile, Environment.ProcessId);
        }

        if (_arguments.NewPidNamespace)
        {
            Namespaces.Unshare(Sched.CLONE_NEWPID);
        }

        DropPrivileges();
        if (apart)
        {
            int pid = ChildProcess.Spawn(path, Arguments(0), [], _streams, newSession);
            WritePid(pidFile, pid);
            return;
        }

        // The same process goes on counting its CPU time.
        Errno errno = ProcessImage.Execute(path, Arguments(JailerClock.Now().CpuUs), [], [], 0);
        throw new JailerException($"Failed to exec into {_program}: {LinuxException.Describe(errno)} (os error {(int)errno}). Is it a static program?");
    }

    private void DropPrivileges()
    {
        Credentials.LimitBounding(0);
        Credentials.SetGroups([]);
        Credentials.SetUser(_arguments.Uid, _arguments.Gid);
        Credentials.SetCapabilities(0, 0, 0);
        Credentials.SetAmbient(0);
        Credentials.SetNoNewPrivileges();
    }

    private IReadOnlyList<string> Arguments(ulong cpuUs) =>
    [
        $"/{_name}",
        "--id", _arguments.Id,
        "--start-time-us", Text(_started.MonotonicUs),
        "--start-time-cpu-us", Text(cpuUs),
        "--parent-cpu-time-us", Text(JailerClock.Now().CpuUs - _started.CpuUs),
        .. _arguments.ForProgram,
    ];

    private static void WritePid(FileDescriptor file, int pid) => Pipe.WriteAll(file, Encoding.ASCII.GetBytes(Text((ulong)pid)));

    private static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
