using Hearth.Linux;

namespace Hearth.Programs.Jailer;

/// <summary>One file of a cgroup and what is written to it: <c>memory.max</c>, <c>268435456</c>.</summary>
internal readonly record struct CgroupSetting(string File, string Value)
{
    /// <summary><c>memory</c> of <c>memory.max</c>.</summary>
    public string Controller => File[..File.IndexOf('.')];

    /// <exception cref="JailerException">It is not FILE=VALUE, or the file is none of a controller.</exception>
    public static CgroupSetting Parse(string text)
    {
        // Deviates: the value may hold "=", as those of io.max do.
        string[] parts = text.Split('=', 2);
        if (parts.Length != 2 || parts[1].Length == 0)
        {
            throw new JailerException($"Invalid format for cgroups: {text}");
        }

        // Not "cgroup.procs" and its like, which would move other processes.
        int dot = parts[0].IndexOf('.');
        return dot > 0 && dot < parts[0].Length - 1 && DirectoryHandle.IsName(parts[0]) && parts[0][..dot] != "cgroup"
            ? new CgroupSetting(parts[0], parts[1])
            : throw new JailerException($"Cgroup invalid file: {parts[0]}: it is CONTROLLER.NAME.");
    }
}
