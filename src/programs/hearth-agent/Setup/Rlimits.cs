using Hearth.Linux;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>Resource limits by name. Source: asm-generic/resource.h, in the order of their numbers.</summary>
internal static class Rlimits
{
    /// <summary>The most descriptors that a process of the guest may be allowed.</summary>
    public const ulong MostFiles = 524_288;

    private static readonly string[] s_names =
    [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ];

    /// <summary>Sets how many descriptors there may be, and that there may be <see cref="MostFiles"/>; less where that is not allowed.</summary>
    public static void SetFiles(ulong soft)
    {
        int files = NumberOf("RLIMIT_NOFILE");
        ulong hard = Math.Min(MostFiles, Credentials.HardLimitOf(files));
        Credentials.SetLimit(files, Math.Min(soft, hard), hard);
    }

    public static int NumberOf(string name) => Array.IndexOf(s_names, name) is >= 0 and var number
        ? number
        : throw new TtrpcException(StatusCode.InvalidArgument, $"\"{name}\" is no resource limit.");
}
