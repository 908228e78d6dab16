using CsCheck;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Boot;

/// <summary>
/// Whatever a kernel file says, it is loaded into RAM between 1 MiB and the end, or refused by a
/// <see cref="KernelLoadException"/>: no other exception, and not a byte over the boot structures.
/// </summary>
public class KernelLoaderPropertyTests
{
    private const ulong MemorySize = 4 << 20;

    // Header bytes, with values that are telling for lengths, counts and addresses.
    private static readonly Gen<byte> s_value = Gen.OneOf(Gen.Byte, Gen.Const((byte)0), Gen.Const((byte)1), Gen.Const((byte)0x7f), Gen.Const((byte)0x80), Gen.Const((byte)0xff));

    [Fact]
    public void Any_cut_of_a_kernel_is_loaded_or_refused()
    {
        using var directory = new BootDirectory();
        foreach (byte[] image in new[] { KernelImages.Elf(), KernelImages.Elf(pvhEntry: KernelImages.ElfBase), KernelImages.BzImage() })
        {
            for (int length = 0; length <= image.Length; length += length < 0x280 ? 3 : 61)
            {
                Check(directory, image[..length]);
            }
        }
    }

    [Fact]
    public void Any_damage_to_an_elf_header_is_loaded_or_refused() =>
        Mutate(KernelImages.Elf(pvhEntry: KernelImages.ElfBase), 0, 0x120);

    [Fact]
    public void Any_damage_to_a_bzimage_header_is_loaded_or_refused() =>
        Mutate(KernelImages.BzImage(), 0x1f1, 0x268);

    private static void Mutate(byte[] image, int from, int to)
    {
        using var directory = new BootDirectory();
        Gen.Select(Gen.Int[from, to - 1], s_value).Array[1, 9].Sample(
            changes =>
            {
                byte[] copy = [.. image];
                foreach ((int offset, byte value) in changes)
                {
                    copy[offset] = value;
                }

                Check(directory, copy);
            },
            iter: 1500,
            threads: 1);
    }

    private static void Check(BootDirectory directory, byte[] image)
    {
        using var memory = GuestMemory.Create(MemorySize);
        string path = directory.File(image);
        try
        {
            LoadedKernel kernel = KernelLoader.LoadKernel(memory, path);
            Assert.InRange(kernel.EntryPoint.Value, MemoryLayout.HighMemory, MemorySize - 1);
            Assert.InRange(kernel.End.Value, kernel.EntryPoint.Value, MemorySize);
            string initrdPath = directory.File(new byte[5000], "initrd");
            LoadedInitrd initrd = KernelLoader.LoadInitrd(memory, initrdPath, kernel);
            Assert.InRange(initrd.Address.Value, kernel.End.Value, MemorySize - 5000);
            var boot = new BootInformation(kernel, initrd, [0], new GuestAddress(MemoryLayout.AcpiStart));
            BootParameters.Write(memory, boot);
        }
        catch (KernelLoadException)
        {
            Assert.True(memory.TryGetSpan(new GuestAddress(0), (uint)MemoryLayout.HighMemory, out Span<byte> low));
            Assert.False(low.ContainsAnyExcept((byte)0));
        }
    }
}
