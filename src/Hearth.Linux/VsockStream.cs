using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A connected AF_VSOCK stream socket of a guest. Source: vsock(7).</summary>
public sealed unsafe class VsockStream : FileDescriptor
{
    private VsockStream(int fd)
        : base(fd)
    {
    }

    /// <summary>Connects; waits for the answer, for two seconds at most.</summary>
    /// <exception cref="LinuxException">Nobody listens there, or the kernel has no vsock.</exception>
    public static VsockStream Connect(uint cid, uint port)
    {
        var stream = new VsockStream(Check(SysSocket.socket(LinuxVmSockets.AF_VSOCK, SysSocket.SOCK_STREAM | SysSocket.SOCK_CLOEXEC, 0), "socket(AF_VSOCK)"));
        try
        {
            var address = new sockaddr_vm { svm_family = LinuxVmSockets.AF_VSOCK, svm_port = port, svm_cid = cid };
            // SAFETY: `address` lives on this stack for the whole call and is as long as its size says.
            Check(LinuxVmSockets.connect(stream.Number, &address, (uint)sizeof(sockaddr_vm)), $"connect(vsock {cid}:{port})");
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}
