using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/vm_sockets.h.</summary>
public static unsafe partial class LinuxVmSockets
{
    public const int AF_VSOCK = 40;
    public const uint VMADDR_CID_ANY = 0xffffffff;
    public const uint VMADDR_CID_HOST = 2;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int bind(int fd, sockaddr_vm* addr, uint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int connect(int fd, sockaddr_vm* addr, uint len);
}

/// <summary>struct sockaddr_vm.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct sockaddr_vm
{
    public ushort svm_family;
    public ushort svm_reserved1;
    public uint svm_port;
    public uint svm_cid;
    public uint pad0;
}
