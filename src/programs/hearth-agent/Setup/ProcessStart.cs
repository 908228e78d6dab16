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

        // As root first, who may go where the user may not, and before a filter that may forbid to ask where that is; else later, as the
        // user, to whom a network file system may be kinder.
        bool inDirectory = TryEnter(process.Cwd);
        if (inDirectory)
        {
            CheckDirectory(process.Cwd);
        }

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
        ulong inheritable = CapabilityNames.MaskOf(process.Capabilities?.Inheritable);
        Credentials.SetCapabilities(CapabilityNames.MaskOf(process.Capabilities?.Effective), permitted, inheritable);
        // The others the kernel refuses (capabilities(7)); runc passes over them, and its own sample specification has some.
        Credentials.SetAmbient(CapabilityNames.MaskOf(process.Capabilities?.Ambient) & permitted & inheritable);
        if (!inDirectory)
        {
            ProcessImage.ChangeDirectory(process.Cwd);
            CheckDirectory(process.Cwd);
        }

        string program = FindIn(process, ".");
        if (process.NoNewPrivileges)
        {
            Credentials.SetNoNewPrivileges();
        }

        ProcessImage.KeepStandardDescriptorsOnly();
        throw Refused(process.Args[0], ProcessImage.Execute(program, process.Args, process.Env, filter, setup.FilterFlags));
    }

    // A directory that is not below the root would be a way out (CVE-2024-21626); the C library refuses to name one.
    private static void CheckDirectory(string directory)
    {
        try
        {
            _ = Directory.GetCurrentDirectory();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TtrpcException(StatusCode.PermissionDenied, $"The working directory \"{directory}\" is not below the container's root, or its seccomp profile forbids getcwd: {e.Message}", e);
        }
    }

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

    /// <summary>The path of the process's program, seen from a directory. What only the kernel knows of it is left to the exec.</summary>
    /// <exception cref="TtrpcException">NotFound, or PermissionDenied, in the words that managers look for: runc's.</exception>
    public static string FindIn(ProcessSpec process, string directory)
    {
        string name = process.Args[0];
        if (name.Contains('/'))
        {
            string named = Path.Combine(directory, name);
            return Refusal(named) is { } errno ? throw Refused(name, errno) : named;
        }

        string path = process.Env.LastOrDefault(static variable => variable.StartsWith("PATH=", StringComparison.Ordinal))?["PATH=".Length..] ?? DefaultPath;
        bool found = false;
        foreach (string folder in path.Split(':'))
        {
            string candidate = Path.Combine(directory, folder, name);
            if (!File.Exists(candidate))
            {
                continue;
            }

            found = true;
            if (Refusal(candidate) is null)
            {
                return candidate;
            }
        }

        throw found
            ? Refused(name, Errno.EACCES)
            : new TtrpcException(StatusCode.NotFound, $"exec: \"{name}\": executable file not found in $PATH");
    }

    // Who asks may be another user than the one who runs it: only what is so for everybody is said.
    private static Errno? Refusal(string path)
    {
        if (Directory.Exists(path))
        {
            return Errno.EISDIR;
        }

        if (!File.Exists(path))
        {
            try
            {
                FileDescriptor.Open(path, Fcntl.O_PATH).Dispose();
                return null;
            }
            catch (LinuxException e) when (e.Errno is Errno.ENOENT or Errno.ENOTDIR)
            {
                return e.Errno;
            }
            catch (LinuxException)
            {
                return null;
            }
        }

        const UnixFileMode execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return (File.GetUnixFileMode(path) & execute) == 0 ? Errno.EACCES : null;
    }

    private static TtrpcException Refused(string name, Errno errno)
    {
        StatusCode code = errno switch
        {
            Errno.ENOENT or Errno.ENOTDIR => StatusCode.NotFound,
            Errno.EACCES or Errno.EPERM or Errno.EISDIR => StatusCode.PermissionDenied,
            _ => StatusCode.Unknown,
        };
        // Managers know a program that is none by the last two words.
        string words = errno == Errno.EISDIR ? $"is a directory: {LinuxException.Describe(Errno.EACCES).ToLowerInvariant()}" : LinuxException.Describe(errno);
        return new TtrpcException(code, $"exec: \"{name}\": {char.ToLowerInvariant(words[0])}{words[1..]}");
    }
}
