using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// Who a thread is. Everything here is about the calling thread only (the kernel's own calls, not the C library's), for a
/// process that is about to become another program. Source: capabilities(7), credentials(7).
/// </summary>
public static unsafe class Credentials
{
    public static void SetGroups(ReadOnlySpan<uint> groups)
    {
        fixed (uint* p = groups)
        {
            // SAFETY: the span is pinned and its length is its own.
            Check(SysSyscall.syscall(SysSyscall.SYS_setgroups, groups.Length, (nint)p, 0, 0, 0), "setgroups()");
        }
    }

    /// <summary>Sets real, effective and saved ids. A change from root keeps the permitted capabilities until the next exec.</summary>
    public static void SetUser(uint user, uint group)
    {
        Check(SysPrctl.prctl(SysPrctl.PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)");
        Check(SysSyscall.syscall(SysSyscall.SYS_setresgid, (nint)group, (nint)group, (nint)group, 0, 0), $"setresgid({group})");
        Check(SysSyscall.syscall(SysSyscall.SYS_setresuid, (nint)user, (nint)user, (nint)user, 0, 0), $"setresuid({user})");
    }

    /// <summary>Capabilities as a mask: bit n is capability n.</summary>
    public static ulong Mask(params ReadOnlySpan<int> capabilities)
    {
        ulong mask = 0;
        foreach (int capability in capabilities)
        {
            mask |= 1ul << capability;
        }

        return mask;
    }

    /// <summary>Leaves in the bounding set only the capabilities of a mask (bit n is capability n).</summary>
    public static void LimitBounding(ulong capabilities)
    {
        for (int capability = 0; capability < 64; capability++)
        {
            // EINVAL: the kernel knows no more.
            if ((capabilities & (1ul << capability)) == 0
                && SysPrctl.prctl(SysPrctl.PR_CAPBSET_DROP, (nuint)capability, 0, 0, 0) < 0
                && LinuxException.LastErrno != Errno.EINVAL)
            {
                throw LinuxException.Last($"prctl(PR_CAPBSET_DROP, {capability})");
            }
        }
    }

    /// <summary>Sets the three sets of a thread.</summary>
    public static void SetCapabilities(ulong effective, ulong permitted, ulong inheritable)
    {
        var header = new cap_user_header { version = LinuxCapability._LINUX_CAPABILITY_VERSION_3 };
        cap_user_data* data = stackalloc cap_user_data[2];
        data[0] = new cap_user_data { effective = (uint)effective, permitted = (uint)permitted, inheritable = (uint)inheritable };
        data[1] = new cap_user_data { effective = (uint)(effective >> 32), permitted = (uint)(permitted >> 32), inheritable = (uint)(inheritable >> 32) };
        // SAFETY: version 3 reads one header and two data, all on this stack.
        Check(SysSyscall.syscall(SysSyscall.SYS_capset, (nint)(&header), (nint)data, 0, 0, 0), "capset()");
    }

    /// <summary>
    /// Takes from the calling thread's sets what is not among <paramref name="capabilities"/>, and gives it nothing. What it starts
    /// has again all of the bounding set, where it is root's.
    /// </summary>
    public static void LimitCapabilities(ulong capabilities)
    {
        var header = new cap_user_header { version = LinuxCapability._LINUX_CAPABILITY_VERSION_3 };
        cap_user_data* data = stackalloc cap_user_data[2];
        // SAFETY: version 3 reads one header and writes two data, all on this stack.
        Check(SysSyscall.syscall(SysSyscall.SYS_capget, (nint)(&header), (nint)data, 0, 0, 0), "capget()");
        ulong permitted = capabilities & (data[0].permitted | ((ulong)data[1].permitted << 32));
        SetCapabilities(permitted & (data[0].effective | ((ulong)data[1].effective << 32)), permitted, 0);
    }

    /// <summary>Makes the ambient set this one, which must be permitted and inheritable.</summary>
    public static void SetAmbient(ulong capabilities)
    {
        Check(SysPrctl.prctl(SysPrctl.PR_CAP_AMBIENT, SysPrctl.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
        for (int capability = 0; capability < 64; capability++)
        {
            if ((capabilities & (1ul << capability)) != 0)
            {
                Check(
                    SysPrctl.prctl(SysPrctl.PR_CAP_AMBIENT, SysPrctl.PR_CAP_AMBIENT_RAISE, (nuint)capability, 0, 0),
                    $"prctl(PR_CAP_AMBIENT_RAISE, {capability})");
            }
        }
    }

    public static void SetNoNewPrivileges() => Check(SysPrctl.prctl(SysPrctl.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)");

    /// <summary>Hides the process's memory, and its program through /proc, from others without CAP_SYS_PTRACE.</summary>
    public static void SetUndumpable() => Check(SysPrctl.prctl(SysPrctl.PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)");

    /// <param name="resource">The number of <c>RLIMIT_*</c>.</param>
    /// <param name="soft">What counts.</param>
    /// <param name="hard">What it may be raised to.</param>
    public static void SetLimit(int resource, ulong soft, ulong hard)
    {
        var limit = new rlimit { rlim_cur = soft, rlim_max = hard };
        // SAFETY: `limit` lives on this stack for the whole call.
        Check(SysResource.setrlimit(resource, &limit), $"setrlimit({resource}, {soft}, {hard})");
    }

    /// <summary>What a limit may be raised to.</summary>
    public static ulong HardLimitOf(int resource) => LimitOf(resource).rlim_max;

    /// <summary>Lets this process have <paramref name="wanted"/> descriptors open, or as many as it may; never fewer than before.</summary>
    /// <returns>How many it may have now.</returns>
    public static ulong RaiseOpenFiles(ulong wanted)
    {
        rlimit limit = LimitOf(SysResource.RLIMIT_NOFILE);
        ulong raised = Math.Max(limit.rlim_cur, Math.Min(wanted, limit.rlim_max));
        if (raised > limit.rlim_cur)
        {
            SetLimit(SysResource.RLIMIT_NOFILE, raised, limit.rlim_max);
        }

        return raised;
    }

    private static rlimit LimitOf(int resource)
    {
        rlimit limit;
        // SAFETY: getrlimit fills one rlimit on this stack.
        Check(SysResource.getrlimit(resource, &limit), $"getrlimit({resource})");
        return limit;
    }

    /// <summary>Installs a seccomp filter. Needs no new privileges, or CAP_SYS_ADMIN.</summary>
    public static void InstallFilter(ReadOnlySpan<sock_filter> filter, uint flags)
    {
        fixed (sock_filter* p = filter)
        {
            var program = new sock_fprog { len = checked((ushort)filter.Length), filter = p };
            // SAFETY: the program points to the pinned span, whose length it carries.
            Check(SysSyscall.syscall(SysSyscall.SYS_seccomp, (nint)LinuxSeccomp.SECCOMP_SET_MODE_FILTER, (nint)flags, (nint)(&program), 0, 0), "seccomp()");
        }
    }

    private static void Check(long result, string call)
    {
        if (result < 0)
        {
            throw new LinuxException(call, (Errno)Marshal.GetLastPInvokeError());
        }
    }
}
