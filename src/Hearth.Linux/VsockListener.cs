using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A listening AF_VSOCK stream socket of a guest. Non-blocking. Source: vsock(7).</summary>
public sealed unsafe class VsockListener : FileDescriptor
{
    private VsockListener(int fd)
        : base(fd)
    {
    }

    /// <summary>Listens on a port, for connections from the host.</summary>
    /// <exception cref="LinuxException">The kernel has no vsock, or the port is taken.</exception>
    public static VsockListener Bind(uint port, int backlog)
    {
        var listener = new VsockListener(Check(
            SysSocket.socket(LinuxVmSockets.AF_VSOCK, SysSocket.SOCK_STREAM | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, 0),
            "socket(AF_VSOCK)",
            "The guest kernel needs CONFIG_VIRTIO_VSOCKETS."));
        try
        {
            var address = new sockaddr_vm { svm_family = LinuxVmSockets.AF_VSOCK, svm_port = port, svm_cid = LinuxVmSockets.VMADDR_CID_ANY };
            // SAFETY: `address` lives on this stack for the whole call and is as long as its size says.
            Check(LinuxVmSockets.bind(listener.Number, &address, (uint)sizeof(sockaddr_vm)), $"bind(vsock {port})");
            Check(SysSocket.listen(listener.Number, backlog), $"listen(vsock {port})");
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Takes the next waiting client of a listening socket; null if there is none (or it has gone already).</summary>
    public static FileDescriptor? TryAccept(FileDescriptor listener)
    {
        // SAFETY: a null address is allowed: the peer's name is not asked for.
        int fd = SysSocket.accept4(listener.Number, null, null, SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC);
        return fd < 0 ? null : new FileDescriptor(fd);
    }
}
