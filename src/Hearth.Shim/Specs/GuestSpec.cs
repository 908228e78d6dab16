using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Specs;

/// <summary>
/// A bundle's specification as the guest's agent is given it: what is the host's is taken out, and what a guest cannot give is
/// refused. Source: docs/shim-protocol.md, The specification in the guest.
/// </summary>
internal sealed record GuestSpec
{
    private const string User = "io.hearth.user";
    private const string UserGroups = "io.hearth.user-groups";

    // Character devices that every guest has: Documentation/admin-guide/devices.txt.
    private static readonly (long Major, long Minor)[] s_devices = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (1, 11), (5, 0), (5, 1), (5, 2), (10, 200), (10, 229)];

    /// <summary>Without mounts, which the machine has its say in.</summary>
    public required RuntimeSpec Spec { get; init; }

    public required PidNamespace PidNamespace { get; init; }

    public UserLookup? UserLookup { get; init; }

    /// <summary>What was passed over, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <param name="spec">The bundle's.</param>
    /// <param name="terminal">Whether the first process has a terminal.</param>
    /// <exception cref="TtrpcException">InvalidArgument: it asks for what a guest cannot give.</exception>
    public static GuestSpec From(RuntimeSpec spec, bool terminal)
    {
        if (spec.Process is null)
        {
            throw Invalid("The bundle's config.json has no process.");
        }

        List<string> notes = [];
        LinuxSpec linux = spec.Linux ?? new LinuxSpec();
        if (linux.UidMappings.Count + linux.GidMappings.Count > 0 || linux.Namespaces.Any(static one => one.Type == "user"))
        {
            throw Invalid("User namespaces are not supported: the container has a machine of its own.");
        }

        return new GuestSpec
        {
            Spec = spec with
            {
                Process = ProcessOf(spec.Process, terminal, notes),
                Hooks = null,
                Annotations = null,
                Linux = linux with
                {
                    Namespaces = [.. linux.Namespaces.Where(static one => string.IsNullOrEmpty(one.Path) && one.Type is not ("pid" or "network"))],
                    CgroupsPath = null,
                    MountLabel = null,
                    Devices = DevicesOf(linux, notes),
                    Resources = linux.Resources is null ? null : ResourcesOf(linux.Resources, notes),
                },
            },
            PidNamespace = PidNamespaceOf(spec, linux),
            UserLookup = spec.Annotations?.GetValueOrDefault(User) is { } user
                ? new UserLookup { User = user, AddListedGroups = spec.Annotations.GetValueOrDefault(UserGroups) == "true" }
                : null,
            Notes = notes,
        };
    }

    /// <summary>A process as the guest gets it, also one that is added later.</summary>
    public static ProcessSpec ProcessOf(ProcessSpec process, bool terminal, List<string> notes)
    {
        if (process.ApparmorProfile is { Length: > 0 } and not "unconfined")
        {
            notes.Add($"The AppArmor profile \"{process.ApparmorProfile}\" is not in force: the guest's kernel has none.");
        }

        if (!string.IsNullOrEmpty(process.SelinuxLabel))
        {
            notes.Add($"The SELinux label \"{process.SelinuxLabel}\" is not in force: the guest's kernel has none.");
        }

        return process with { Terminal = terminal, ApparmorProfile = null, SelinuxLabel = null };
    }

    /// <summary>Limits as the guest gets them: those that name parts of the host are taken out.</summary>
    public static ResourcesSpec ResourcesOf(ResourcesSpec resources, List<string> notes)
    {
        if (resources.Cpu is { } cpu && (!string.IsNullOrEmpty(cpu.Cpus) || !string.IsNullOrEmpty(cpu.Mems)))
        {
            notes.Add($"The CPU set \"{cpu.Cpus}\" (memory nodes \"{cpu.Mems}\") names CPUs of the host and is passed over.");
            resources = resources with { Cpu = cpu with { Cpus = null, Mems = null } };
        }

        // The kubelet sets a limit of 0 for every size that the host has.
        return resources with { HugepageLimits = [.. resources.HugepageLimits.Where(static limit => limit.Limit > 0)] };
    }

    private static IReadOnlyList<DeviceSpec> DevicesOf(LinuxSpec linux, List<string> notes)
    {
        DeviceSpec[] lacking = [.. linux.Devices.Where(static device => device.Type != "p" && !(device.Type is "c" or "u" && s_devices.Contains((device.Major, device.Minor))))];
        if (lacking.Length == 0)
        {
            return linux.Devices;
        }

        // A privileged container lists whatever the host has; it asked for everything, not for each of these.
        bool privileged = linux.Resources?.Devices.Any(static rule =>
            rule.Allow && rule.Type is null or "" or "a" && rule.Major is null or -1 && rule.Minor is null or -1 && (rule.Access is null or "" || rule.Access.Contains('w'))) == true;
        if (!privileged)
        {
            DeviceSpec first = lacking[0];
            throw Invalid($"The device {first.Path} ({first.Type} {first.Major}:{first.Minor}) is the host's: the pod's machine has no such device.");
        }

        notes.Add($"{lacking.Length} devices of the host that a privileged container is given are not in its machine.");
        return [.. linux.Devices.Except(lacking)];
    }

    private static PidNamespace PidNamespaceOf(RuntimeSpec spec, LinuxSpec linux)
    {
        if (spec.Annotations?.GetValueOrDefault(SpecAnnotations.PidTarget) is { Length: > 0 } target)
        {
            return new PidNamespace { Mode = PidNamespace.Types.Mode.Target, TargetContainerId = target };
        }

        NamespaceSpec? wanted = linux.Namespaces.FirstOrDefault(static one => one.Type == "pid");
        return new PidNamespace { Mode = wanted is { Path: null or "" } ? PidNamespace.Types.Mode.Container : PidNamespace.Types.Mode.Pod };
    }

    private static TtrpcException Invalid(string what) => new(StatusCode.InvalidArgument, what);
}
