using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A container's device rules: the specification's, and after them what every container may use.</summary>
internal static class DeviceRules
{
    private const int Everything = LinuxBpf.BPF_DEVCG_ACC_MKNOD | LinuxBpf.BPF_DEVCG_ACC_READ | LinuxBpf.BPF_DEVCG_ACC_WRITE;

    // Source: runtime-spec config-linux.md, Default Devices. Making nodes does no harm where they cannot be opened.
    private static readonly DeviceRule[] s_always =
    [
        new(Allow: true, null, null, null, LinuxBpf.BPF_DEVCG_ACC_MKNOD),
        Character(1, 3), Character(1, 5), Character(1, 7), Character(1, 8), Character(1, 9),
        Character(5, 0), Character(5, 1), Character(5, 2), Character(136, null),
    ];

    /// <summary>Puts the rules in force; without any in the specification there are none. A kernel that cannot is told of.</summary>
    public static void Apply(Cgroup cgroup, IReadOnlyList<DeviceRuleSpec> rules)
    {
        if (rules.Count == 0)
        {
            return;
        }

        try
        {
            using FileDescriptor directory = FileDescriptor.Open(cgroup.Path, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
            DeviceFilter.Attach(directory, [.. rules.Select(Translate), .. s_always]);
        }
        catch (LinuxException e)
        {
            AgentLog.Error($"The device rules of {cgroup.Path} are not in force: {e.Message}");
        }
    }

    private static DeviceRule Translate(DeviceRuleSpec rule)
    {
        int? type = rule.Type switch
        {
            null or "" or "a" => null,
            "b" => LinuxBpf.BPF_DEVCG_DEV_BLOCK,
            "c" => LinuxBpf.BPF_DEVCG_DEV_CHAR,
            _ => throw new TtrpcException(StatusCode.InvalidArgument, $"\"{rule.Type}\" is no type of device rule."),
        };
        int access = string.IsNullOrEmpty(rule.Access) ? Everything : 0;
        foreach (char letter in rule.Access ?? "")
        {
            access |= letter switch
            {
                'r' => LinuxBpf.BPF_DEVCG_ACC_READ,
                'w' => LinuxBpf.BPF_DEVCG_ACC_WRITE,
                'm' => LinuxBpf.BPF_DEVCG_ACC_MKNOD,
                _ => throw new TtrpcException(StatusCode.InvalidArgument, $"\"{rule.Access}\" is no access of a device rule."),
            };
        }

        return new DeviceRule(rule.Allow, type, Number(rule.Major), Number(rule.Minor), access);
    }

    // -1 is any, as absence is.
    private static int? Number(long? number) => number is >= 0 and <= int.MaxValue ? (int)number : null;

    private static DeviceRule Character(int major, int? minor) => new(Allow: true, LinuxBpf.BPF_DEVCG_DEV_CHAR, major, minor, Everything);
}
