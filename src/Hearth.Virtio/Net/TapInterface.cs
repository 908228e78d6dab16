using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Virtio.Net;

/// <summary>
/// The host's end of a TAP interface: one descriptor that gives and takes Ethernet frames, each behind a virtio-net
/// header. Non-blocking. Source: linux Documentation/networking/tuntap.rst.
/// </summary>
public sealed unsafe class TapInterface : IDisposable
{
    /// <summary>struct virtio_net_hdr_v1, in bytes. Source: virtio 1.2 §5.1.6.</summary>
    public const int HeaderBytes = 12;

    /// <summary>The longest name an interface can have, in bytes.</summary>
    public const int MaxNameBytes = LinuxIfTun.IFNAMSIZ - 1;

    private const string Device = "/dev/net/tun";

    // A test's socket is no TAP and knows nothing of offloads.
    private readonly bool _isTap;

    /// <summary>For tests: anything that keeps message boundaries.</summary>
    internal TapInterface(string name, FileDescriptor fd)
    {
        Name = name;
        Fd = fd;
    }

    private TapInterface(string name, FileDescriptor fd, bool isTap)
        : this(name, fd)
    {
        _isTap = isTap;
    }

    public string Name { get; }

    public FileDescriptor Fd { get; }

    /// <summary>
    /// Attaches to the interface of that name. One that does not exist is made, and goes away with the monitor, where
    /// the monitor has CAP_NET_ADMIN.
    /// </summary>
    /// <exception cref="HearthException">There is no such interface to be had; in Firecracker's words, with what to do about it.</exception>
    public static TapInterface Open(string name)
    {
        int nameBytes = Encoding.UTF8.GetByteCount(name);
        if (nameBytes is 0 or > MaxNameBytes || name.AsSpan().ContainsAny("/: \0%"))
        {
            throw Failure($"Invalid interface name. \"{name}\" is not 1 to {MaxNameBytes} characters without spaces, '/', ':' and '%'.");
        }

        FileDescriptor fd;
        try
        {
            fd = FileDescriptor.Open(Device, Fcntl.O_RDWR | Fcntl.O_NONBLOCK);
        }
        catch (LinuxException e)
        {
            throw Failure($"Couldn't open {Device}: {e.Reason}. {OpenRemedy(e.Errno)}");
        }

        try
        {
            Attach(fd, name);
            int headerBytes = HeaderBytes;
            // SAFETY: the argument lives on this stack for the whole call.
            if (Fcntl.ioctl(fd.Number, LinuxIfTun.TUNSETVNETHDRSZ, (nint)(&headerBytes)) < 0)
            {
                throw Failure($"Error while setting size of the vnet header: {Reason()}.");
            }

            return new TapInterface(name, fd, isTap: true);
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>What the kernel may leave undone in frames it hands out.</summary>
    /// <param name="flags"><c>TUN_F_…</c>.</param>
    /// <exception cref="HearthException">The kernel refuses.</exception>
    public void SetOffload(uint flags)
    {
        if (_isTap && Fcntl.ioctl(Fd.Number, LinuxIfTun.TUNSETOFFLOAD, (nint)flags) < 0)
        {
            throw new HearthException($"TAP {Name}: Error while setting the offload flags: {Reason()}. Offloads need Linux 4.6 or later.");
        }
    }

    public void Dispose() => Fd.Dispose();

    private static void Attach(FileDescriptor fd, string name)
    {
        var request = new ifreq { ifr_flags = LinuxIfTun.IFF_TAP | LinuxIfTun.IFF_NO_PI | LinuxIfTun.IFF_VNET_HDR };
        // SAFETY: the name was checked to leave room for its NUL, and the structure lives on this stack for the whole call.
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.ifr_name, MaxNameBytes));
        if (Fcntl.ioctl(fd.Number, LinuxIfTun.TUNSETIFF, (nint)(&request)) < 0)
        {
            Errno errno = LinuxException.LastErrno;
            throw Failure($"Error while creating ifreq structure: {Reason()}. Invalid TUN/TAP Backend provided by {name}. {AttachRemedy(errno, name)}");
        }
    }

    private static string OpenRemedy(Errno errno) => errno switch
    {
        Errno.ENOENT or Errno.ENODEV or Errno.ENXIO => "Load the kernel's module (modprobe tun), or make the device node (mknod c 10 200) in the jail.",
        Errno.EACCES or Errno.EPERM => "Give the monitor's user read and write access to it.",
        _ => "See tuntap.rst of the kernel's documentation.",
    };

    private static string AttachRemedy(Errno errno, string name) => errno switch
    {
        Errno.EPERM => $"Either it does not exist, or it belongs to another user: ip tuntap add dev {name} mode tap user $USER.",
        Errno.EBUSY => "Another process, or another interface of this microVM, has it open: give each interface a TAP of its own.",
        Errno.EINVAL => $"It is there and no plain TAP (ip -d link show {name}): make one with ip tuntap add dev NAME mode tap, without multi_queue.",
        _ => $"See ip -d link show {name} in the monitor's network namespace.",
    };

    private static string Reason() => $"{LinuxException.Describe(LinuxException.LastErrno)} (os error {(int)LinuxException.LastErrno})";

    private static HearthException Failure(string cause) => new($"Open tap device failed: {cause}");
}
