using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>How many descriptors this process may have. Source: getrlimit(2), RLIMIT_NOFILE.</summary>
public static unsafe class OpenFileLimit
{
    /// <summary>
    /// Uses all that the process was given: the soft limit is low by tradition, for programs that call select(2), and
    /// the hard limit is what whoever started us meant.
    /// </summary>
    /// <returns>The limit now.</returns>
    public static ulong Raise()
    {
        rlimit limit;
        // SAFETY: `limit` lives on this stack for both calls.
        FileDescriptor.Check(SysResource.getrlimit(SysResource.RLIMIT_NOFILE, &limit), "getrlimit(RLIMIT_NOFILE)");
        if (limit.rlim_cur < limit.rlim_max)
        {
            limit.rlim_cur = limit.rlim_max;
            FileDescriptor.Check(SysResource.setrlimit(SysResource.RLIMIT_NOFILE, &limit), "setrlimit(RLIMIT_NOFILE)");
        }

        return limit.rlim_cur;
    }
}
