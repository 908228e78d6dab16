using System.Globalization;
using System.Text;
using Hearth.Linux;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Boot;

/// <summary>
/// The kernel command line: what the user gave, and what the monitor adds before a <c>--</c> that hands the rest to init.
/// </summary>
public sealed class KernelCommandLine
{
    /// <summary>The longest command line in bytes, its terminating zero included (x86 COMMAND_LINE_SIZE).</summary>
    public const int MaxBytes = 2048;

    /// <summary>What a guest gets that is told nothing. Source: Firecracker docs/kernel-policy.md.</summary>
    public const string Default = BootSourceConfig.DefaultBootArgs;

    private readonly string _initArguments;
    private readonly StringBuilder _kernelArguments;

    /// <param name="given">The user's <c>boot_args</c>; null for <see cref="Default"/>.</param>
    /// <exception cref="HearthException">It holds characters that no command line may.</exception>
    public KernelCommandLine(string? given)
    {
        string text = given ?? Default;
        foreach (char c in text)
        {
            if (c is < ' ' or > '~')
            {
                throw new HearthException($"The kernel command line has the character U+{(int)c:X4}; only printable ASCII may stand there. Mend boot_args.");
            }
        }

        int split = FindInitArguments(text);
        _initArguments = text[split..].Trim();
        _kernelArguments = new StringBuilder(text[..split].Trim());
    }

    /// <summary>Adds one argument for the kernel.</summary>
    public void Add(string argument)
    {
        if (_kernelArguments.Length > 0)
        {
            _kernelArguments.Append(' ');
        }

        _kernelArguments.Append(argument);
    }

    /// <summary>Names a device that a kernel without ACPI finds by CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES.</summary>
    public void AddVirtioMmio(VirtioMmioSlot slot) =>
        Add(string.Create(CultureInfo.InvariantCulture, $"virtio_mmio.device={slot.SizeBytes / 1024}K@0x{slot.Address:x}:{slot.Gsi}"));

    /// <summary>The bytes for the guest, with the terminating zero.</summary>
    /// <exception cref="HearthException">They are more than <see cref="MaxBytes"/>.</exception>
    public byte[] ToBytes()
    {
        string text = ToString();
        if (text.Length >= MaxBytes)
        {
            throw new HearthException(
                $"The kernel command line has {text.Length} bytes with what the devices add, and the most is {MaxBytes - 1}. Shorten boot_args.");
        }

        return [.. Encoding.ASCII.GetBytes(text), 0];
    }

    public override string ToString() =>
        _initArguments.Length == 0 || _kernelArguments.Length == 0 ? _kernelArguments + _initArguments : $"{_kernelArguments} {_initArguments}";

    // Where a "--" of its own begins, outside double quotes: the kernel's parser reads it so (lib/cmdline.c next_arg).
    private static int FindInitArguments(string text)
    {
        bool quoted = false;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '"')
            {
                quoted = !quoted;
            }

            if (!quoted && (i == 0 || text[i - 1] == ' ') && text.AsSpan(i).StartsWith("--") && (i + 2 == text.Length || text[i + 2] == ' '))
            {
                return i;
            }
        }

        return text.Length;
    }
}
