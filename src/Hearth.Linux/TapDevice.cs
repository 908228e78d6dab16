using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// TAP interfaces that stay without a process that has them open. Thread: that of the network namespace that is meant.
/// Source: linux Documentation/networking/tuntap.rst.
/// </summary>
public static unsafe class TapDevice
{
    private const string Device = "/dev/net/tun";

    /// <summary>Makes a TAP of one queue whose frames have a virtio-net header before them; one of that name that is there is taken over.</summary>
    /// <param name="name">At most 15 bytes.</param>
    /// <param name="owner">The user who may open it without CAP_NET_ADMIN; null for nobody.</param>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public static void Create(string name, uint? owner = null)
    {
        if (Encoding.UTF8.GetByteCount(name) is 0 or >= LinuxIfTun.IFNAMSIZ)
        {
            throw new LinuxException($"make TAP \"{name}\"", Errno.EINVAL, $"A name has 1 to {LinuxIfTun.IFNAMSIZ - 1} bytes.");
        }

        using FileDescriptor fd = FileDescriptor.Open(Device, Fcntl.O_RDWR, remedy: "Load the kernel's module (modprobe tun).");
        var request = new ifreq { ifr_flags = LinuxIfTun.IFF_TAP | LinuxIfTun.IFF_NO_PI | LinuxIfTun.IFF_VNET_HDR };
        // SAFETY: the name was checked to leave room for its NUL, and the structure lives on this stack for the whole call.
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.ifr_name, LinuxIfTun.IFNAMSIZ - 1));
        FileDescriptor.Check(Fcntl.ioctl(fd.Number, LinuxIfTun.TUNSETIFF, (nint)(&request)), $"make TAP \"{name}\"");
        if (owner is { } user)
        {
            FileDescriptor.Check(Fcntl.ioctl(fd.Number, LinuxIfTun.TUNSETOWNER, (nint)user), $"give TAP \"{name}\" to user {user}");
        }

        FileDescriptor.Check(Fcntl.ioctl(fd.Number, LinuxIfTun.TUNSETPERSIST, 1), $"keep TAP \"{name}\"");
    }
}
