using Hearth.Kvm.Native;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Kvm;

/// <summary>
/// <c>/dev/kvm</c>: makes VMs and says what this host's KVM can do. Thread: any.
/// Source: KVM api.rst §4.1-4.4.
/// </summary>
public sealed unsafe class KvmSystem : IDisposable
{
    private const string DefaultPath = "/dev/kvm";

    // Everything the machine uses unconditionally; each with what it is for, for the error.
    private static readonly (int Capability, string Name, string Use)[] s_required =
    [
        (KvmCaps.KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "the in-kernel interrupt controllers"),
        (KvmCaps.KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest memory"),
        (KvmCaps.KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "running real mode on Intel"),
        (KvmCaps.KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "the guest's CPUID"),
        (KvmCaps.KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "starting secondary vCPUs"),
        (KvmCaps.KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "device interrupts"),
        (KvmCaps.KVM_CAP_PIT2, "KVM_CAP_PIT2", "the in-kernel timer"),
        (KvmCaps.KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "virtqueue notifications"),
        (KvmCaps.KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "pausing vCPUs"),
    ];

    private readonly FileDescriptor _fd;

    private KvmSystem(FileDescriptor fd, int vcpuMmapSize)
    {
        _fd = fd;
        VcpuMmapSize = vcpuMmapSize;
    }

    /// <summary>The size in bytes of a vCPU's shared <c>kvm_run</c> area.</summary>
    public int VcpuMmapSize { get; }

    /// <summary>The most vCPUs one VM may have.</summary>
    public int MaxVcpus => Math.Max(CheckExtension(KvmCaps.KVM_CAP_MAX_VCPUS), CheckExtension(KvmCaps.KVM_CAP_NR_VCPUS));

    /// <summary>Opens KVM and checks that it has what a machine needs.</summary>
    /// <exception cref="KvmException">There is no KVM, no permission, or a capability is missing: says which and why.</exception>
    public static KvmSystem Open(string path = DefaultPath)
    {
        FileDescriptor fd;
        try
        {
            fd = FileDescriptor.Open(path, Fcntl.O_RDWR);
        }
        catch (LinuxException e)
        {
            throw new KvmException("open", path, e.Errno, e.Errno switch
            {
                Errno.ENOENT => "This host has no KVM: load the kvm_intel or kvm_amd module, and turn on virtualization in the firmware or nested virtualization in the hypervisor.",
                Errno.EACCES or Errno.EPERM => "Add your user to the kvm group (usermod -aG kvm USER) or run as root.",
                _ => "Is it the KVM device?",
            });
        }

        try
        {
            int version = Fcntl.ioctl(fd.Number, KvmIoctls.KVM_GET_API_VERSION, 0);
            if (version != KvmConstants.KVM_API_VERSION)
            {
                throw new KvmException($"{path} speaks KVM API version {version}, and {KvmConstants.KVM_API_VERSION} is needed. Is it the KVM device?");
            }

            int size = Fcntl.ioctl(fd.Number, KvmIoctls.KVM_GET_VCPU_MMAP_SIZE, 0);
            if (size < sizeof(kvm_run))
            {
                KvmException.ThrowLast("KVM_GET_VCPU_MMAP_SIZE", string.Empty);
            }

            var system = new KvmSystem(fd, size);
            foreach ((int capability, string name, string use) in s_required)
            {
                if (system.CheckExtension(capability) <= 0)
                {
                    throw new KvmException($"This host's KVM lacks {name}, which Hearth needs for {use}. A host kernel of 5.10 or newer has it.");
                }
            }

            return system;
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>What KVM_CHECK_EXTENSION says: 0 or less for no, else yes or a number.</summary>
    public int CheckExtension(int capability) => Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_CHECK_EXTENSION, capability);

    /// <summary>Makes an empty VM.</summary>
    public KvmVm CreateVm()
    {
        int fd;
        do
        {
            fd = Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_CREATE_VM, 0);
        }
        while (fd < 0 && LinuxException.LastErrno == Errno.EINTR);
        if (fd < 0)
        {
            KvmException.ThrowLast("KVM_CREATE_VM", "type 0", "Is another hypervisor using this CPU?");
        }

        return new KvmVm(new FileDescriptor(fd), VcpuMmapSize);
    }

    /// <summary>The CPUID leaves this host's KVM can give a guest. Source: KVM api.rst 4.46.</summary>
    public kvm_cpuid_entry2[] GetSupportedCpuid()
    {
        // KVM says E2BIG until the table is large enough; hosts today have some 60 leaves.
        for (int capacity = 128; capacity <= 2048; capacity *= 2)
        {
            byte[] buffer = new byte[8 + (capacity * sizeof(kvm_cpuid_entry2))];
            fixed (byte* p = buffer)
            {
                // SAFETY: the buffer has the header (nent, padding) and room for `nent` entries, pinned for the call.
                *(uint*)p = (uint)capacity;
                if (Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_GET_SUPPORTED_CPUID, (nint)p) == 0)
                {
                    int count = (int)Math.Min(*(uint*)p, (uint)capacity);
                    return new ReadOnlySpan<kvm_cpuid_entry2>(p + 8, count).ToArray();
                }
            }

            if (LinuxException.LastErrno != Errno.E2BIG)
            {
                break;
            }
        }

        KvmException.ThrowLast("KVM_GET_SUPPORTED_CPUID", string.Empty);
        return [];
    }

    public void Dispose() => _fd.Dispose();
}
