using System.Globalization;
using System.Text;
using Hearth.Configuration;
using Hearth.Images.Kernels;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary>What microVMs need: KVM, a kernel, an initrd, the programs around them.</summary>
internal sealed class MachineChecks(HostView host, MicrovmConfig config)
{
    // As KvmSpeed of the monitor has it: hardware takes under one, an emulated machine some ten, an interpreter five hundred.
    private const double InterpretedNanoseconds = 150;

    private static readonly string[] s_virtiofsd = ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"];

    public async Task<IEnumerable<Finding>> RunAsync(CancellationToken cancellation) =>
        [await KvmAsync(cancellation), Tun(), Kernel(), Initrd(), Virtiofsd()];

    private async Task<Finding> KvmAsync(CancellationToken cancellation)
    {
        const string Name = "kvm";
        const string NoHardware = "Run on a machine with hardware virtualization, or for a try in the lab (lab/run): pods will take minutes here, or not start.";
        if (!host.IsThere("/dev/kvm"))
        {
            return Finding.Fail(Name, "none: there is no /dev/kvm", "Switch virtualization on in the firmware and load the module (modprobe kvm_intel, or kvm_amd). A virtual machine needs nested virtualization.");
        }

        if (host.Find("hearth-vmm") is not { } monitor)
        {
            return Finding.Warn(Name, "/dev/kvm is there; its speed is not known without hearth-vmm, which measures it", "Put hearth-vmm beside hearth, or on PATH.");
        }

        if (await host.TryRunAsync(monitor, ["--kvm-speed"], cancellation) is not { } run)
        {
            return Finding.Fail(Name, "/dev/kvm did not run 10,000 instructions in half a minute", NoHardware);
        }

        if (run.Status != 0 || !double.TryParse(run.Said, NumberStyles.Float, CultureInfo.InvariantCulture, out double nanoseconds))
        {
            return Finding.Fail(Name, $"/dev/kvm cannot be used: {run.Said}", "Run this as root, or join the group kvm (usermod -aG kvm USER).");
        }

        string speed = string.Create(CultureInfo.InvariantCulture, $"{nanoseconds:0.##} ns an instruction");
        return nanoseconds > InterpretedNanoseconds
            ? Finding.Fail(Name, $"interpreted: {speed}, with no hardware behind it", NoHardware)
            : Finding.Ok(Name, $"hardware: {speed}");
    }

    private Finding Tun() => host.IsThere("/dev/net/tun")
        ? Finding.Ok("tun", "/dev/net/tun is there")
        : Finding.Fail("tun", "there is no /dev/net/tun, so machines have no network", "Load the module: modprobe tun");

    private Finding Kernel()
    {
        const string Name = "kernel";
        string path = config.Kernel;
        if (host.TryReadHead(path, 0x206) is not { } head)
        {
            return Finding.Fail(Name, $"there is no guest kernel {path}", $"Build one: hearth kernel build --smp -o {path} (or set [microvm] kernel)");
        }

        bool elf = head.AsSpan().StartsWith("\x7f"u8) && head.AsSpan(1).StartsWith("ELF"u8);
        bool bzImage = head.Length >= 0x206 && head.AsSpan(0x202).StartsWith("HdrS"u8);
        if (!elf && !bzImage)
        {
            return Finding.Fail(Name, $"{path} is no kernel: neither an ELF vmlinux nor a bzImage", $"Build one: hearth kernel build --smp -o {path}");
        }

        string options = path + ".config";
        if (host.TryRead(options) is not { } text)
        {
            return Finding.Ok(Name, $"{path} ({(elf ? "vmlinux" : "bzImage")})");
        }

        string[] missing = [.. KernelRequirements.Unmet(KernelConfig.Parse(text, options)).Where(unmet => unmet.Required).Select(unmet => unmet.Option)];
        return missing.Length == 0
            ? Finding.Ok(Name, $"{path} ({(elf ? "vmlinux" : "bzImage")}, with all options that a guest needs)")
            : Finding.Fail(Name, $"{path} lacks {string.Join(", ", missing)}", $"hearth kernel check {options} says what for; hearth kernel build makes one that has them");
    }

    private Finding Initrd()
    {
        const string Name = "initrd";
        if (host.TryReadHead(config.Initrd, 6) is not { } head)
        {
            return Finding.Fail(Name, $"there is no initrd {config.Initrd} with the agent", $"Make it: hearth initrd build --init hearth-agent -o {config.Initrd} (or set [microvm] initrd)");
        }

        bool known = head.AsSpan().StartsWith("\x1f"u8) || head.AsSpan().StartsWith("070701"u8) || head is [0x28, 0xb5, 0x2f, 0xfd, ..];
        return known
            ? Finding.Ok(Name, config.Initrd)
            : Finding.Fail(Name, $"{config.Initrd} is no initrd: its first bytes are {Encoding.ASCII.GetString([.. head.Select(b => b is > 32 and < 127 ? b : (byte)'.')])}", $"Make it: hearth initrd build --init hearth-agent -o {config.Initrd}");
    }

    private Finding Virtiofsd()
    {
        const string Name = "virtiofsd";
        string? found = config.Virtiofsd.Length > 0 ? host.Find(config.Virtiofsd) : s_virtiofsd.Select(host.Find).FirstOrDefault(path => path is not null) ?? host.Find("virtiofsd");
        return found is not null
            ? Finding.Ok(Name, found)
            : Finding.Warn(Name, config.Virtiofsd.Length > 0 ? $"there is no {config.Virtiofsd}" : "there is no virtiofsd, so pods cannot have volumes of this host", "apt-get install virtiofsd (in bookworm: qemu-system-common), or set [microvm] virtiofsd");
    }
}
