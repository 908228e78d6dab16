using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>The program that serves the pod's <see cref="SharedFolder"/> to the monitor, and ends with it. Thread: any.</summary>
internal static class Virtiofsd
{
    // Debian 12's, of QEMU, in C; and the later one, in Rust, which has other options.
    private static readonly string[] s_places = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];

    // Files keep the owners that containers give them, and are read and written as any of their users; it changes its root, and
    // then drops what only that took. It keeps this mount namespace, in which volumes come while it serves them.
    internal static HostConfinement Confinement { get; } = new()
    {
        NewNamespaces = Sched.CLONE_NEWNET | Sched.CLONE_NEWIPC | Sched.CLONE_NEWPID | Sched.CLONE_NEWUTS,
        Capabilities = Credentials.Mask(
            LinuxCapability.CAP_CHOWN, LinuxCapability.CAP_DAC_OVERRIDE, LinuxCapability.CAP_FOWNER, LinuxCapability.CAP_FSETID,
            LinuxCapability.CAP_SETGID, LinuxCapability.CAP_SETUID, LinuxCapability.CAP_MKNOD, LinuxCapability.CAP_SETFCAP,
            LinuxCapability.CAP_SYS_CHROOT, LinuxCapability.CAP_SETPCAP),
        NoNewPrivileges = true,
    };

    /// <summary>Where it is.</summary>
    /// <exception cref="HearthException">Nowhere.</exception>
    public static string Find(string configured)
    {
        string? found = configured.Length > 0 ? configured : s_places.FirstOrDefault(File.Exists);
        return found is not null && File.Exists(found)
            ? found
            : throw new HearthException(
                $"There is no virtiofsd at {(configured.Length > 0 ? configured : string.Join(" or ", s_places))}, which pods' volumes need: install Debian's qemu-system-common (12) or virtiofsd (13), or set virtiofsd in [microvm] of hearth.toml.");
    }

    /// <summary>Starts it. The monitor can connect when this returns, and waits until it is up.</summary>
    public static HostProcess Start(string program, string folder, string socketPath)
    {
        using UnixListener listener = UnixListener.Bind(socketPath, backlog: 1, blocking: true);
        // Whoever the monitor runs as; others do not get into the folder.
        File.SetUnixFileMode(socketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        return Start(program, folder, listener);
    }

    /// <summary>Starts it on a socket that is there.</summary>
    internal static HostProcess Start(string program, string folder, UnixListener listener) =>
        HostProcess.Start(program, Arguments(program, folder), Confinement, listener);

    // The folder's mounts are made while it serves them: it must stay in this mount namespace, which the sandbox "chroot" does.
    // inode-file-handles, which 1.14 would use: it takes CAP_DAC_READ_SEARCH, which opens any file of the host's by its number.
    // xattr: files' capabilities. cache=auto: what the host changes is seen within a second, and programs can map files.
    private static string[] Arguments(string program, string folder)
    {
        const int inherited = 3;
        string fd = string.Create(CultureInfo.InvariantCulture, $"--fd={inherited}");
        return program.Contains("/qemu/", StringComparison.Ordinal)
            ? [fd, "-f", "-o", $"source={folder}", "-o", "sandbox=chroot", "-o", "cache=auto", "-o", "xattr", "-o", "log_level=err"]
            : [fd, $"--shared-dir={folder}", "--sandbox=chroot", "--cache=auto", "--xattr", "--inode-file-handles=never", "--log-level=error"];
    }
}
