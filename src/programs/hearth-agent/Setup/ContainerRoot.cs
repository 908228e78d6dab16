using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>
/// Makes a container around the calling process: 1. its namespaces; 2. mounts and 3. devices in its root; 4. its terminal;
/// 5. kernel settings; 6. what it must not see or change; 7. its root becomes the root. The image is hostile: every path in
/// it is resolved inside it.
/// </summary>
internal sealed class ContainerRoot
{
    private static readonly (string Path, ulong Major, ulong Minor)[] s_devices =
    [
        ("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9), ("/dev/tty", 5, 0),
    ];

    private static readonly (string Target, string Path)[] s_links =
    [
        ("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"), ("/proc/self/fd/1", "/dev/stdout"), ("/proc/self/fd/2", "/dev/stderr"),
        ("pts/ptmx", "/dev/ptmx"),
    ];

    private readonly ContainerSetup _setup;
    private readonly RuntimeSpec _spec;
    private readonly LinuxSpec _linux;
    private readonly ControlChannel _channel;
    private readonly FileDescriptor _descriptors;
    private readonly List<(string Destination, uint Flags)> _readOnlyAtLast = [];

    public ContainerRoot(ContainerSetup setup, ControlChannel channel, FileDescriptor descriptors)
    {
        _setup = setup;
        _spec = setup.Container!;
        _linux = _spec.Linux ?? new LinuxSpec();
        _channel = channel;
        _descriptors = descriptors;
    }

    public void Make()
    {
        // 1. Slaves of the guest's mounts: what the host adds to a volume arrives, what the container mounts stays with it.
        Namespaces.Unshare(Sched.CLONE_NEWNS | _setup.Namespaces);
        Mounts.Mount(null, "/", null, SysMount.MS_SLAVE | SysMount.MS_REC);
        Mounts.Mount(_setup.RootPath, _setup.RootPath, null, SysMount.MS_BIND | SysMount.MS_REC);
        using (var root = new RootDirectory(_setup.RootPath))
        {
            foreach (MountSpec mount in _spec.Mounts)
            {
                MountOne(root, mount);
            }

            // A whole /dev from elsewhere is left as it is.
            if (!_spec.Mounts.Any(static mount => mount.Destination.TrimEnd('/') == "/dev" && MountOptions.Parse(mount.Options, mount.Type).IsBind))
            {
                MakeDevices(root);
            }

            if (_setup.Terminal)
            {
                SetupRole.TakeTerminal(_setup, root, _channel, _descriptors, peer => Cover(root, "/dev/console", Mounts.PathOf(peer)));
            }

            Configure();
            Protect(root);
            EnsureWorkingDirectory(root);
        }

        // 7. Opened again: the path leads to the mount that covers the directory, and not to the directory.
        if (_spec.Root?.Readonly == true)
        {
            Mounts.Mount(null, _setup.RootPath, null, SysMount.MS_BIND | SysMount.MS_REMOUNT | SysMount.MS_RDONLY);
        }

        using FileDescriptor newRoot = FileDescriptor.Open(_setup.RootPath, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        Mounts.PivotRoot(newRoot);
        if (MountOptions.PropagationOf(_linux.RootfsPropagation) is not 0 and var propagation)
        {
            Mounts.Mount(null, "/", null, propagation);
        }
    }

    private void MountOne(RootDirectory root, MountSpec mount)
    {
        MountOptions options = MountOptions.Parse(mount.Options, mount.Type);
        string? type = mount.Type;
        string? source = mount.Source ?? type;
        try
        {
            if (type is "cgroup" or "cgroup2")
            {
                type = "cgroup2";
                // Without a namespace of its own it must not see the others' groups.
                if ((_setup.Namespaces & Sched.CLONE_NEWCGROUP) == 0)
                {
                    options = options with { Flags = options.Flags | SysMount.MS_BIND, Data = "" };
                    source = _setup.CgroupPath;
                }
            }

            if (!options.IsBind)
            {
                uint flags = options.Flags;
                if (type == "tmpfs" && (flags & SysMount.MS_RDONLY) != 0)
                {
                    // It is empty, and other mounts and devices may have their places in it: Podman's /dev of a pod's pause container.
                    _readOnlyAtLast.Add((mount.Destination, flags));
                    flags &= ~SysMount.MS_RDONLY;
                }

                using FileDescriptor directory = root.MakeDirectories(mount.Destination);
                Mounts.Mount(source, Mounts.PathOf(directory), type, flags, options.Data);
            }
            else
            {
                Bind(root, source ?? throw new TtrpcException(StatusCode.InvalidArgument, "a bind mount needs a source"), mount.Destination, options);
            }

            if (options.Propagation != 0)
            {
                using FileDescriptor mounted = root.Open(mount.Destination, Fcntl.O_PATH);
                Mounts.Mount(null, Mounts.PathOf(mounted), null, options.Propagation);
            }
        }
        catch (HearthException e)
        {
            throw new TtrpcException(StatusCode.Unknown, $"The mount of \"{source}\" at \"{mount.Destination}\" failed: {e.Message}", e);
        }
    }

    private static void Bind(RootDirectory root, string source, string destination, MountOptions options)
    {
        using (FileDescriptor from = options.Subdirectory.Length > 0 ? Part(source, options.Subdirectory, destination) : FileDescriptor.Open(source, Fcntl.O_PATH))
        using (FileDescriptor target = FileStatus.Of(from).IsDirectory ? root.MakeDirectories(destination) : root.MakeFile(destination))
        {
            Mounts.Mount(Mounts.PathOf(from), Mounts.PathOf(target), null, options.Flags & (SysMount.MS_BIND | SysMount.MS_REC));
        }

        if (options.BindFlags != 0)
        {
            using FileDescriptor mounted = root.Open(destination, Fcntl.O_PATH);
            Mounts.Mount(null, Mounts.PathOf(mounted), null, SysMount.MS_BIND | SysMount.MS_REMOUNT | options.BindFlags);
        }
    }

    // A volume's content is as hostile as an image's: links in it stay in it.
    private static FileDescriptor Part(string source, string path, string destination)
    {
        using var volume = new RootDirectory(source);
        return volume.TryOpen(path, Fcntl.O_PATH)
            ?? throw new TtrpcException(StatusCode.InvalidArgument, $"The volume at {destination} has no \"{path}\" in it ({LinuxException.LastErrno}).");
    }

    private void MakeDevices(RootDirectory root)
    {
        const uint everyone = 0x1b6;
        foreach ((string path, ulong major, ulong minor) in s_devices)
        {
            MakeDevice(root, path, SysStat.S_IFCHR | everyone, RootDirectory.Device(major, minor), 0, 0);
        }

        foreach (DeviceSpec device in _linux.Devices)
        {
            uint kind = device.Type switch
            {
                "c" or "u" => SysStat.S_IFCHR,
                "b" => SysStat.S_IFBLK,
                "p" => SysStat.S_IFIFO,
                _ => throw new TtrpcException(StatusCode.InvalidArgument, $"\"{device.Type}\" is no type of device."),
            };
            uint mode = kind | ((device.FileMode ?? everyone) & 0x1ff);
            MakeDevice(root, device.Path, mode, RootDirectory.Device((ulong)device.Major, (ulong)device.Minor), device.Uid ?? 0, device.Gid ?? 0);
        }

        foreach ((string target, string path) in s_links)
        {
            root.MakeLink(target, path);
        }
    }

    private static void MakeDevice(RootDirectory root, string path, uint mode, ulong device, uint owner, uint group)
    {
        uint mask = ProcessImage.SetFileModeMask(0);
        try
        {
            root.MakeNode(path, mode, device, owner, group);
        }
        finally
        {
            ProcessImage.SetFileModeMask(mask);
        }
    }

    private void Configure()
    {
        if ((_setup.Namespaces & Sched.CLONE_NEWUTS) != 0)
        {
            if (!string.IsNullOrEmpty(_spec.Hostname))
            {
                ProcessImage.SetHostName(_spec.Hostname);
            }

            if (!string.IsNullOrEmpty(_spec.Domainname))
            {
                ProcessImage.SetDomainName(_spec.Domainname);
            }
        }

        foreach ((string name, string value) in _linux.Sysctl ?? new Dictionary<string, string>())
        {
            // Written from here, where the namespaces are the container's and /proc is not.
            if (name.Contains("..", StringComparison.Ordinal) || name.StartsWith('/'))
            {
                throw new TtrpcException(StatusCode.InvalidArgument, $"\"{name}\" is no sysctl.");
            }

            WriteFile($"/proc/sys/{(name.Contains('/') ? name : name.Replace('.', '/'))}", value);
        }
    }

    private void Protect(RootDirectory root)
    {
        foreach ((string destination, uint flags) in _readOnlyAtLast)
        {
            using FileDescriptor mounted = root.Open(destination, Fcntl.O_PATH);
            Mounts.Mount(null, Mounts.PathOf(mounted), null, SysMount.MS_BIND | SysMount.MS_REMOUNT | flags);
        }

        foreach (string path in _linux.ReadonlyPaths)
        {
            using (FileDescriptor? found = root.TryOpen(path, Fcntl.O_PATH))
            {
                if (found is null)
                {
                    continue;
                }

                Mounts.Mount(Mounts.PathOf(found), Mounts.PathOf(found), null, SysMount.MS_BIND | SysMount.MS_REC);
            }

            using FileDescriptor covered = root.Open(path, Fcntl.O_PATH);
            Mounts.Mount(null, Mounts.PathOf(covered), null,
                SysMount.MS_BIND | SysMount.MS_REMOUNT | SysMount.MS_RDONLY | SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC);
        }

        foreach (string path in _linux.MaskedPaths)
        {
            using FileDescriptor? found = root.TryOpen(path, Fcntl.O_PATH);
            if (found is null)
            {
                continue;
            }

            if (FileStatus.Of(found).IsDirectory)
            {
                Mounts.Mount("tmpfs", Mounts.PathOf(found), "tmpfs", SysMount.MS_RDONLY | SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC, "nr_inodes=2,size=4096");
            }
            else
            {
                Mounts.Mount("/dev/null", Mounts.PathOf(found), null, SysMount.MS_BIND);
            }
        }
    }

    private void EnsureWorkingDirectory(RootDirectory root)
    {
        try
        {
            root.MakeDirectories(_setup.Process.Cwd).Dispose();
        }
        catch (LinuxException)
        {
            // The root may be read-only; going there will say so.
        }
    }

    private static void Cover(RootDirectory root, string path, string source)
    {
        using FileDescriptor target = root.MakeFile(path);
        Mounts.Mount(source, Mounts.PathOf(target), null, SysMount.MS_BIND);
    }

    private static void WriteFile(string path, string value)
    {
        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_WRONLY);
        Pipe.WriteAll(file, System.Text.Encoding.UTF8.GetBytes(value));
    }
}
