using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>The last step: the calling process, already in its namespaces, takes its identity and becomes its program.</summary>
internal static class ProcessStart
{
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>Comes back only by throwing.</summary>
    public static void Become(ContainerSetup setup)
    {
        ProcessSpec process = setup.Process;
        // What systemd gives its services: the agent's own limit is for its own descriptors.
        Rlimits.SetFiles(1024);
        foreach (RlimitSpec limit in process.Rlimits)
        {
            Credentials.SetLimit(Rlimits.NumberOf(limit.Type), limit.Soft, limit.Hard);
        }

        bool inDirectory = TryEnter(process.Cwd);
        ReadOnlySpan<sock_filter> filter = MemoryMarshal.Cast<byte, sock_filter>(setup.Filter);
        ulong bounding = CapabilityNames.MaskOf(process.Capabilities?.Bounding);
        ulong permitted = CapabilityNames.MaskOf(process.Capabilities?.Permitted);
        if (!process.NoNewPrivileges && !filter.IsEmpty)
        {
            // Without no_new_privs the kernel wants CAP_SYS_ADMIN, which is about to go. The profile then must allow the rest.
            Credentials.InstallFilter(filter, setup.FilterFlags);
            filter = [];
        }

        _ = ProcessImage.SetFileModeMask(process.User.Umask ?? 0x12);
        Credentials.SetGroups([.. process.User.AdditionalGids]);
        Credentials.LimitBounding(bounding);
        Credentials.SetUser(process.User.Uid, process.User.Gid);
        Credentials.SetCapabilities(CapabilityNames.MaskOf(process.Capabilities?.Effective), permitted, CapabilityNames.MaskOf(process.Capabilities?.Inheritable));
        Credentials.SetAmbient(CapabilityNames.MaskOf(process.Capabilities?.Ambient));
        if (!inDirectory)
        {
            ProcessImage.ChangeDirectory(process.Cwd);
        }

        // A directory that is not below the root would be a way out (CVE-2024-21626); the C library refuses to name one.
        _ = Directory.GetCurrentDirectory();
        string program = Find(process);
        if (process.NoNewPrivileges)
        {
            Credentials.SetNoNewPrivileges();
        }

        ProcessImage.KeepStandardDescriptorsOnly();
        throw Refused(process.Args[0], ProcessImage.Execute(program, process.Args, process.Env, filter, setup.FilterFlags));
    }

    // As root first, who may go where the user may not; else later, as the user, to whom a network file system may be kinder.
    private static bool TryEnter(string directory)
    {
        try
        {
            ProcessImage.ChangeDirectory(directory);
            return true;
        }
        catch (LinuxException)
        {
            return false;
        }
    }

    private static string Find(ProcessSpec process)
    {
        string name = process.Args[0];
        if (name.Contains('/'))
        {
            return name;
        }

        string path = process.Env.LastOrDefault(static variable => variable.StartsWith("PATH=", StringComparison.Ordinal))?["PATH=".Length..] ?? DefaultPath;
        bool found = false;
        foreach (string directory in path.Split(':'))
        {
            string candidate = Path.Combine(directory.Length == 0 ? "." : directory, name);
            if (!File.Exists(candidate))
            {
                continue;
            }

            found = true;
            if ((File.GetUnixFileMode(candidate) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0)
            {
                return candidate;
            }
        }

        throw found
            ? Refused(name, Errno.EACCES)
            : new TtrpcException(StatusCode.NotFound, $"exec: \"{name}\": executable file not found in $PATH");
    }

    private static TtrpcException Refused(string name, Errno errno)
    {
        StatusCode code = errno switch
        {
            Errno.ENOENT or Errno.ENOTDIR => StatusCode.NotFound,
            Errno.EACCES or Errno.EPERM => StatusCode.PermissionDenied,
            _ => StatusCode.Unknown,
        };
        return new TtrpcException(code, $"exec: \"{name}\": {LinuxException.Describe(errno)}");
    }
}
