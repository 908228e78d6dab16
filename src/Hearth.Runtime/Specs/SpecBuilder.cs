using Hearth.Images;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>A container's specification, and what of it is told to clients.</summary>
internal sealed record BuiltSpec(RuntimeSpec Spec, ContainerIdentity User, int StopSignal);

/// <summary>
/// Makes an OCI specification of what a client asks, what the image says, and what every container gets. What depends on how the
/// pod is run (namespaces, cgroup, root) is the handler's. Touches the host's files only to look at volumes' sources.
/// </summary>
internal static class SpecBuilder
{
    private const string DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    // The hard limit is for programs that know they need it; a soft one of a million is slow for those that close all they might have.
    private static readonly RlimitSpec[] s_rlimits = [new() { Type = "RLIMIT_NOFILE", Soft = 1024, Hard = 524288 }];

    private static readonly string[] s_maskedPaths =
    [
        "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
        "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/interrupts",
    ];

    private static readonly string[] s_readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    /// <param name="pod">The container's pod.</param>
    /// <param name="files">Of the pod.</param>
    /// <param name="shm">What is mounted at /dev/shm: a folder of the host, or null for the guest's own.</param>
    /// <param name="config">What is asked.</param>
    /// <param name="image">The container's.</param>
    /// <param name="imageVolumes">Images that are mounted, by their place in <see cref="ContainerConfig.Mounts"/>.</param>
    /// <exception cref="PodException">InvalidArgument: it contradicts itself, the image or the host.</exception>
    public static BuiltSpec Build(
        Pod pod, PodFiles files, string? shm, ContainerConfig config, Image image, IReadOnlyDictionary<int, Image> imageVolumes)
    {
        ContainerSecurity security = config.Security;
        if (security.Privileged && !pod.Config.Security.Privileged)
        {
            throw new PodException(PodFault.InvalidArgument, $"The container \"{config.Name}\" asks to be privileged, and its pod does not: make the pod privileged too.");
        }

        LinuxResources resources = config.Resources ?? new LinuxResources();
        ResourceSpecs.Check(resources);
        (ContainerIdentity user, string home) = ContainerUsers.Resolve(image, security, pod.Config.Security);
        CapabilitiesSpec capabilities = Capabilities.Of(security);
        string hostname = HostnameOf(pod.Config);
        var spec = new RuntimeSpec
        {
            Process = new ProcessSpec
            {
                Terminal = config.Tty,
                User = new UserSpec { Uid = user.Uid, Gid = user.Gid, AdditionalGids = user.Groups },
                Args = CommandOf(config, image),
                Env = EnvironmentOf(image.Config.Env, config.Env, config.Tty, hostname, home),
                Cwd = WorkingDir(config.WorkingDir.Length > 0 ? config.WorkingDir : image.Config.WorkingDir),
                Capabilities = capabilities,
                Rlimits = s_rlimits,
                NoNewPrivileges = security.NoNewPrivileges,
                OomScoreAdj = resources.OomScoreAdj == 0 ? null : (int)resources.OomScoreAdj,
            },
            Root = new RootSpec { Path = "rootfs", Readonly = security.ReadonlyRoot },
            Hostname = hostname,
            Mounts = ContainerMounts.Of(files, shm, config, imageVolumes),
            Linux = new LinuxSpec
            {
                Resources = ResourceSpecs.WithDevices(ResourceSpecs.Of(resources), security.Privileged),
                Seccomp = SeccompProfiles.Of(security, pod.Config.Security, capabilities),
                MaskedPaths = security.Privileged ? [] : security.MaskedPaths.Count > 0 ? security.MaskedPaths : s_maskedPaths,
                ReadonlyPaths = security.Privileged ? [] : security.ReadonlyPaths.Count > 0 ? security.ReadonlyPaths : s_readonlyPaths,
            },
        };
        return new BuiltSpec(spec, user, StopSignalOf(config, image));
    }

    /// <summary>The process of an exec: as the container's first, with another program.</summary>
    public static ProcessSpec Exec(ProcessSpec container, Container record, Image? image, ExecOptions options)
    {
        if (options.Command.Count == 0 || options.Command[0].Length == 0)
        {
            throw new PodException(PodFault.InvalidArgument, "There is no command to be run.");
        }

        if (options.Tty && options.Stderr)
        {
            throw new PodException(PodFault.InvalidArgument, "A terminal has one output: ask for tty or for stderr.");
        }

        UserSpec user = container.User;
        IReadOnlyList<string> environment = container.Env;
        if (options.User.Length > 0)
        {
            (ContainerIdentity who, string home) = ContainerUsers.Resolve(
                image ?? throw new PodException(PodFault.NotFound, $"The image {record.ImageId} is gone: its users cannot be looked up."), options.User, record.User);
            user = new UserSpec { Uid = who.Uid, Gid = who.Gid, AdditionalGids = who.Groups };
            environment = Merge(environment, ["HOME=" + home]);
        }

        // What a terminal adds to the environment is the terminal's.
        IReadOnlyList<string> terminal = options.Tty && !container.Env.Any(static one => one.StartsWith("TERM=", StringComparison.Ordinal)) ? ["TERM=xterm"] : [];
        return new ProcessSpec
        {
            Terminal = options.Tty,
            User = user,
            Args = options.Command,
            Env = Merge(Merge(environment, terminal), Checked(options.Env)),
            Cwd = options.WorkingDir.Length > 0 ? WorkingDir(options.WorkingDir) : container.Cwd,
            Rlimits = container.Rlimits,
            NoNewPrivileges = container.NoNewPrivileges,
            OomScoreAdj = container.OomScoreAdj,
        };
    }

    /// <summary>Entry point and command of the image, or what stands in their place: a command of the client's takes the image's arguments away too.</summary>
    public static IReadOnlyList<string> CommandOf(ContainerConfig config, Image image)
    {
        IReadOnlyList<string> arguments = config.Command.Count > 0 ? [.. config.Command, .. config.Args]
            : config.Args.Count > 0 ? [.. image.Config.Entrypoint, .. config.Args]
            : [.. image.Config.Entrypoint, .. image.Config.Cmd];
        return arguments.Count == 0 || arguments[0].Length == 0
            ? throw new PodException(PodFault.InvalidArgument, $"The container \"{config.Name}\" has no command: its image has neither entry point nor Cmd, and none was given.")
            : arguments.Any(static text => text.Contains('\0'))
                ? throw new PodException(PodFault.InvalidArgument, $"An argument of the container \"{config.Name}\" has a NUL character.")
                : arguments;
    }

    /// <summary>What the pod is called from inside.</summary>
    public static string HostnameOf(PodConfig config)
    {
        string name = config.Hostname.Length > 0 ? config.Hostname
            : config.Security.Namespaces.Network == NamespaceMode.Node ? Environment.MachineName
            : config.Metadata.Name;
        // Linux takes 64 bytes.
        return name.Length <= 63 ? name : name[..63].TrimEnd('-', '.');
    }

    internal static IReadOnlyList<string> EnvironmentOf(IReadOnlyList<string> image, IReadOnlyList<string> given, bool tty, string hostname, string home)
    {
        List<string> own = [DefaultPath, "HOSTNAME=" + hostname, "HOME=" + home];
        if (tty)
        {
            own.Add("TERM=xterm");
        }

        // What images have without "=" unsets nothing here; runtimes pass it over.
        return Merge(Merge(own, [.. image.Where(static one => one.IndexOf('=') > 0)]), Checked(given));
    }

    private static IReadOnlyList<string> Checked(IReadOnlyList<string> given)
    {
        string? wrong = given.FirstOrDefault(static one => one.IndexOf('=') <= 0 || one.Contains('\0'));
        return wrong is null ? given : throw new PodException(PodFault.InvalidArgument, $"\"{wrong}\" is no variable: NAME=VALUE, without NUL characters.");
    }

    /// <summary>Later ones over earlier ones of the same name, each in the place of the first.</summary>
    private static IReadOnlyList<string> Merge(IReadOnlyList<string> under, IReadOnlyList<string> over)
    {
        if (over.Count == 0)
        {
            return under;
        }

        var merged = new List<string>(under.Count + over.Count);
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string variable in under.Concat(over))
        {
            string name = variable[..Math.Max(0, variable.IndexOf('='))];
            if (places.TryGetValue(name, out int place))
            {
                merged[place] = variable;
            }
            else
            {
                places[name] = merged.Count;
                merged.Add(variable);
            }
        }

        return merged;
    }

    private static string WorkingDir(string path) =>
        path.Length == 0 ? "/"
        : path.Contains('\0') ? throw new PodException(PodFault.InvalidArgument, "The working directory has a NUL character.")
        : path.StartsWith('/') ? path
        // Images may say a relative one; all runtimes take it from the root.
        : "/" + path;

    private static int StopSignalOf(ContainerConfig config, Image image)
    {
        if (config.StopSignal.Length > 0)
        {
            return Signals.Parse(config.StopSignal) is not 0 and var asked
                ? asked
                : throw new PodException(PodFault.InvalidArgument, $"\"{config.StopSignal}\" is no signal.");
        }

        // An image's mistake must not keep it from running.
        return Signals.Parse(image.Config.StopSignal) is not 0 and var signal ? signal : Signals.Terminate;
    }
}
