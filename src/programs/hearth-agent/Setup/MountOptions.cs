using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Agent.Setup;

/// <summary>The options of a mount, as fstab and OCI write them, sorted into what mount(2) takes.</summary>
/// <param name="Flags"><c>MS_*</c> of the mount itself.</param>
/// <param name="Propagation"><c>MS_*</c> of a call after it; 0 for none.</param>
/// <param name="Data">The file system's own.</param>
/// <param name="Subdirectory">What of the source is bound; empty for all of it. <see cref="MountSpec.Subdirectory"/>.</param>
internal sealed record MountOptions(uint Flags, uint Propagation, string Data, string Subdirectory = "")
{
    private static readonly Dictionary<string, (bool Clear, uint Flag)> s_flags = new()
    {
        ["defaults"] = (false, 0),
        ["ro"] = (false, SysMount.MS_RDONLY),
        ["rw"] = (true, SysMount.MS_RDONLY),
        ["nosuid"] = (false, SysMount.MS_NOSUID),
        ["suid"] = (true, SysMount.MS_NOSUID),
        ["nodev"] = (false, SysMount.MS_NODEV),
        ["dev"] = (true, SysMount.MS_NODEV),
        ["noexec"] = (false, SysMount.MS_NOEXEC),
        ["exec"] = (true, SysMount.MS_NOEXEC),
        ["sync"] = (false, SysMount.MS_SYNCHRONOUS),
        ["async"] = (true, SysMount.MS_SYNCHRONOUS),
        ["dirsync"] = (false, SysMount.MS_DIRSYNC),
        ["remount"] = (false, SysMount.MS_REMOUNT),
        ["mand"] = (false, SysMount.MS_MANDLOCK),
        ["nomand"] = (true, SysMount.MS_MANDLOCK),
        ["noatime"] = (false, SysMount.MS_NOATIME),
        ["atime"] = (true, SysMount.MS_NOATIME),
        ["nodiratime"] = (false, SysMount.MS_NODIRATIME),
        ["diratime"] = (true, SysMount.MS_NODIRATIME),
        ["relatime"] = (false, SysMount.MS_RELATIME),
        ["norelatime"] = (true, SysMount.MS_RELATIME),
        ["strictatime"] = (false, SysMount.MS_STRICTATIME),
        ["nostrictatime"] = (true, SysMount.MS_STRICTATIME),
        ["bind"] = (false, SysMount.MS_BIND),
        ["rbind"] = (false, SysMount.MS_BIND | SysMount.MS_REC),
        ["silent"] = (false, SysMount.MS_SILENT),
        ["loud"] = (true, SysMount.MS_SILENT),
        // runc copies what lies below first; here a tmpfs begins empty.
        ["tmpcopyup"] = (false, 0),
    };

    private static readonly Dictionary<string, uint> s_propagation = new()
    {
        ["private"] = SysMount.MS_PRIVATE,
        ["rprivate"] = SysMount.MS_PRIVATE | SysMount.MS_REC,
        ["slave"] = SysMount.MS_SLAVE,
        ["rslave"] = SysMount.MS_SLAVE | SysMount.MS_REC,
        ["shared"] = SysMount.MS_SHARED,
        ["rshared"] = SysMount.MS_SHARED | SysMount.MS_REC,
        ["unbindable"] = SysMount.MS_UNBINDABLE,
        ["runbindable"] = SysMount.MS_UNBINDABLE | SysMount.MS_REC,
    };

    public bool IsBind => (Flags & SysMount.MS_BIND) != 0;

    /// <summary>What a bind mount cannot be given when it is made, only when it is changed.</summary>
    public uint BindFlags => Flags & ~(SysMount.MS_BIND | SysMount.MS_REC | SysMount.MS_REMOUNT);

    public static MountOptions Parse(IEnumerable<string> options, string? type = null)
    {
        uint flags = type == "bind" ? SysMount.MS_BIND : 0;
        uint propagation = 0;
        string subdirectory = "";
        List<string> data = [];
        foreach (string option in options)
        {
            if (s_flags.TryGetValue(option, out (bool Clear, uint Flag) known))
            {
                flags = known.Clear ? flags & ~known.Flag : flags | known.Flag;
            }
            else if (s_propagation.TryGetValue(option, out uint kind))
            {
                propagation |= kind;
            }
            else if (option.StartsWith(MountSpec.Subdirectory, StringComparison.Ordinal))
            {
                subdirectory = option[MountSpec.Subdirectory.Length..];
            }
            else
            {
                data.Add(option);
            }
        }

        return new MountOptions(flags, propagation, string.Join(',', data), subdirectory);
    }

    /// <summary>What OCI calls a mount's propagation, or rootfsPropagation; 0 for none.</summary>
    public static uint PropagationOf(string? name) => name is null ? 0 : s_propagation.GetValueOrDefault(name.StartsWith('r') ? name : "r" + name);
}
