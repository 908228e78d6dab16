using Hearth.Images.Initrds;

namespace Hearth.Lab.Tests;

/// <summary>
/// Where things are for a test that boots real guests. <c>./test</c> sets the variables and starts these tests through
/// <c>lab/run</c>; anywhere else they skip themselves.
/// </summary>
internal static class Lab
{
    /// <summary>A kernel that hearth kernel build made: SMP, no ACPI, everything built in.</summary>
    public static string BuiltKernel => Required("HEARTH_GUEST_KERNEL");

    /// <summary>Debian's own cloud kernel, a bzImage with ACPI.</summary>
    public static string StockKernel => Required("HEARTH_STOCK_KERNEL");

    /// <summary>The initrd that hearth kernel import made for it.</summary>
    public static string StockInitrd => Required("HEARTH_STOCK_INITRD");

    /// <summary>A Debian root file system that hearth rootfs build made.</summary>
    public static string RootFilesystem => Required("HEARTH_GUEST_ROOTFS");

    /// <summary>The monitor under test, as ./build published it.</summary>
    public static string Monitor => Path.Combine(Repository, "out", "bin", "hearth-vmm");

    private static string Repository
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
            {
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("These tests run from the checkout they were built in.");
            }

            return folder;
        }
    }

    /// <summary>
    /// Writes an initrd whose init mounts the usual, runs <paramref name="script"/> with busybox, and powers off by a reset.
    /// </summary>
    public static string WriteInitrd(string folder, string script)
    {
        string init =
            $"""
            #!/bin/busybox sh
            /bin/busybox --install -s /bin
            export PATH=/bin
            mkdir -p /proc /sys /dev /mnt
            mount -t proc proc /proc
            mount -t sysfs sys /sys
            mount -t devtmpfs dev /dev
            echo GUEST-UP
            {script}
            echo GUEST-DONE
            reboot -f
            """;
        string path = Path.Combine(folder, "initrd");
        using FileStream file = File.Create(path);
        using var archive = new CpioWriter(file);
        archive.AddFile("bin/busybox", File.ReadAllBytes("/bin/busybox"), 0x1ed);
        archive.AddFile("init", System.Text.Encoding.UTF8.GetBytes(init.ReplaceLineEndings("\n")), 0x1ed);
        return path;
    }

    private static string Required(string variable)
    {
        string? value = Environment.GetEnvironmentVariable(variable);
        Assert.SkipWhen(string.IsNullOrEmpty(value) || Environment.GetEnvironmentVariable("HEARTH_IN_LAB") is null, "boots guests: ./test starts it in the lab");
        return value!;
    }
}
