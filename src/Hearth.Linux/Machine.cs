using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>What process 1 does to its whole machine.</summary>
public static unsafe class Machine
{
    /// <summary>Sets the wall clock, in nanoseconds since 1970.</summary>
    public static void SetClock(long nanoseconds)
    {
        var time = new timespec { tv_sec = nanoseconds / 1_000_000_000, tv_nsec = nanoseconds % 1_000_000_000 };
        // SAFETY: `time` lives on this stack for the whole call.
        FileDescriptor.Check(Time.clock_settime(Time.CLOCK_REALTIME, &time), "clock_settime()");
    }

    /// <summary>Mixes secret bytes into the kernel's randomness, counts them, and makes it take effect at once.</summary>
    /// <param name="seed">At most 4096 bytes.</param>
    public static void ReseedRandom(ReadOnlySpan<byte> seed)
    {
        using FileDescriptor random = FileDescriptor.Open("/dev/urandom", Fcntl.O_WRONLY);
        byte[] request = new byte[8 + seed.Length];
        BitConverter.TryWriteBytes(request, seed.Length * 8);
        BitConverter.TryWriteBytes(request.AsSpan(4), seed.Length);
        seed.CopyTo(request.AsSpan(8));
        fixed (byte* p = request)
        {
            // SAFETY: struct rand_pool_info: entropy in bits, size in bytes, and so many bytes, all in the pinned array.
            FileDescriptor.Check(Fcntl.ioctl(random.Number, LinuxRandom.RNDADDENTROPY, (nint)p), "ioctl(RNDADDENTROPY)");
        }

        FileDescriptor.Check(Fcntl.ioctl(random.Number, LinuxRandom.RNDRESEEDCRNG, 0), "ioctl(RNDRESEEDCRNG)");
    }

    /// <summary>Writes everything to disk and ends the machine. Firecracker's guests end by a reset, not by power-off.</summary>
    public static void Reset()
    {
        Unistd.sync();
        FileDescriptor.Check(SysReboot.reboot(SysReboot.RB_AUTOBOOT), "reboot()");
    }

    /// <summary>
    /// Covers the root with a mount of itself. Containers leave it by pivot_root(2), which the kernel refuses to do from the
    /// root that an initramfs is unpacked to: that one is mounted on nothing.
    /// </summary>
    public static void CoverRoot(string mountPoint)
    {
        Mounts.Mount("/", mountPoint, null, SysMount.MS_BIND);
        ProcessImage.ChangeDirectory(mountPoint);
        Mounts.Mount(".", "/", null, SysMount.MS_MOVE);
        FileDescriptor.Check(Unistd.chroot("."), "chroot(\".\")");
        ProcessImage.ChangeDirectory("/");
    }

    /// <summary>A vanished reader is an error of the write, not the end of the process.</summary>
    public static void IgnoreBrokenPipes()
    {
        var ignore = new sigaction_t { sa_handler = 1 };
        // SAFETY: `ignore` is SIG_IGN with an empty mask, on this stack for the whole call.
        FileDescriptor.Check(Signals.sigaction(Signals.SIGPIPE, &ignore, null), "sigaction(SIGPIPE)");
    }
}
