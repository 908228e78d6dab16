using System.Diagnostics;
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

    /// <summary>hearth-agent as an initrd.</summary>
    public static string AgentInitrd => Required("HEARTH_AGENT_INITRD");

    /// <summary>What makes and serves the images that pods run.</summary>
    public static string ImagesScript => Path.Combine(Repository, "lab", "images.sh");

    /// <summary>A program as ./build published it.</summary>
    public static string Program(string name) => Path.Combine(Repository, "out", "bin", name);

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
    /// In the script, <c>now</c> is the guest's uptime in hundredths of a second, as a number the shell can reckon with
    /// (/proc/uptime less its point would be an octal one, "093", in the first second).
    /// </summary>
    /// <param name="folder">Where it goes.</param>
    /// <param name="script">Lines of shell.</param>
    /// <param name="programs">Programs of the lab's Debian that the script needs besides; their libraries come along.</param>
    public static string WriteInitrd(string folder, string script, params string[] programs)
    {
        string init =
            $$"""
            #!/bin/busybox sh
            /bin/busybox --install -s /bin
            export PATH=/bin:/usr/bin
            mkdir -p /proc /sys /dev /mnt /tmp
            mount -t proc proc /proc
            mount -t sysfs sys /sys
            mount -t devtmpfs dev /dev
            now() { read -r up _ </proc/uptime; echo $((${up%.*} * 100 + 1${up#*.} - 100)); }
            echo GUEST-UP
            {{script}}
            echo GUEST-DONE
            reboot -f
            """;
        string path = Path.Combine(folder, "initrd");
        using FileStream stream = File.Create(path);
        using var archive = new CpioWriter(stream);
        archive.AddFile("bin/busybox", File.ReadAllBytes("/bin/busybox"), 0x1ed);
        foreach (string file in programs.SelectMany(WithLibraries).Distinct())
        {
            archive.AddFile(file[1..], File.ReadAllBytes(file), 0x1ed);
        }

        archive.AddFile("init", System.Text.Encoding.UTF8.GetBytes(init.ReplaceLineEndings("\n")), 0x1ed);
        return path;
    }

    // ldd's lines name a library after "=>", or the loader at their beginning.
    private static IEnumerable<string> WithLibraries(string program)
    {
        using Process ldd = Process.Start(new ProcessStartInfo("ldd", [program]) { RedirectStandardOutput = true })!;
        string output = ldd.StandardOutput.ReadToEnd();
        ldd.WaitForExit();
        Assert.True(ldd.ExitCode == 0, $"ldd {program}: {output}");
        return output.Split([' ', '\n', '\t']).Where(word => word.StartsWith('/')).Append(program);
    }

    /// <summary>For a test that needs the lab's own kernel, and no guest.</summary>
    public static void SkipElsewhere() => Assert.SkipWhen(Environment.GetEnvironmentVariable("HEARTH_IN_LAB") is null, "needs the lab's kernel: ./test starts it there");

    private static string Required(string variable)
    {
        string? value = Environment.GetEnvironmentVariable(variable);
        Assert.SkipWhen(string.IsNullOrEmpty(value) || Environment.GetEnvironmentVariable("HEARTH_IN_LAB") is null, "boots guests: ./test starts it in the lab");
        return value!;
    }
}
