using System.Diagnostics;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Boot;

public class KernelLoaderTests
{
    private const ulong MiB = 1 << 20;

    [Fact]
    public void An_elf_kernel_lies_at_its_physical_address_and_starts_at_its_entry()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(KernelImages.Elf(code: [0x90, 0xf4])));
        Assert.Equal(BootProtocol.Linux64, kernel.Protocol);
        Assert.Equal(new GuestAddress(KernelImages.ElfBase), kernel.EntryPoint);
        Assert.Equal(new GuestAddress(KernelImages.ElfBase + 0x400), kernel.End);
        Assert.True(memory.TryRead(kernel.EntryPoint, out ushort code));
        Assert.Equal(0xf490, code);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void A_pvh_note_of_either_width_makes_it_a_pvh_kernel(int noteBytes)
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        byte[] image = KernelImages.Elf(pvhEntry: KernelImages.ElfBase + 0x10, noteBytes: noteBytes);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(image));
        Assert.Equal(BootProtocol.Pvh, kernel.Protocol);
        Assert.Equal(new GuestAddress(KernelImages.ElfBase + 0x10), kernel.EntryPoint);
    }

    [Fact]
    public void A_bzimage_lies_where_it_prefers_without_the_signature_behind_it()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(KernelImages.BzImage()));
        Assert.Equal(BootProtocol.Linux64, kernel.Protocol);
        Assert.Equal(new GuestAddress(KernelImages.BzImageBase + 0x200), kernel.EntryPoint);
        Assert.Equal(new GuestAddress(KernelImages.BzImageBase + KernelImages.BzImageInitSize), kernel.End);
        Assert.Equal(0x268 - 0x1f1, kernel.SetupHeader.Length);
        var end = new GuestAddress(KernelImages.BzImageBase + KernelImages.BzImagePayload);
        Assert.True(memory.TryRead(new GuestAddress(end.Value - 1), out ushort lastAndNext));
        Assert.Equal(0x00f4, lastAndNext);
    }

    public static TheoryData<string, byte[], string> Broken()
    {
        byte[] elf = KernelImages.Elf(), bz = KernelImages.BzImage();
        return new TheoryData<string, byte[], string>
        {
            { "empty", [], "empty" },
            { "text", "#!/bin/sh\n"u8.ToArray(), "neither an ELF" },
            { "gzip", [0x1f, 0x8b, 8, 0, 0, 0], "gzip" },
            { "ELF header cut", elf[..40], "ends inside" },
            { "program headers cut", elf[..100], "ends inside" },
            { "segment cut", elf[..^1], "ends inside" },
            { "32-bit ELF", With(elf, 4, 1), "another machine" },
            { "arm64 ELF", With(elf, 18, 183), "another machine" },
            { "object file", With(elf, 16, 1), "not an executable" },
            { "no program headers", With(elf, 56, 0, 0), "program header table" },
            { "absurd number of program headers", With(elf, 56, 0xff, 0xff), "program header table" },
            { "program header table past the end", With(elf, 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "ends inside" },
            { "segment over the boot structures", KernelImages.Elf(0x7000), "below 1 MiB" },
            { "segment past memory", KernelImages.Elf(16 * MiB - 0x300), "outside the guest" },
            { "segment that wraps", KernelImages.Elf(ulong.MaxValue - 0x100), "outside the guest" },
            { "segment larger in the file than in memory", With(elf, 64 + 40, 1, 0), "larger in the file" },
            { "entry outside", With(elf, 24, 0, 0, 0, 1), "entry point" },
            { "entry in the zeros", With(elf, 24, 0, 3), "entry point" },
            { "PVH entry outside", KernelImages.Elf(pvhEntry: 0x1000), "entry point" },
            { "bzImage with a wrong magic", With(bz, 0x202, (byte)'h'), "HdrS" },
            { "bzImage without the boot flag", With(bz, 0x1fe, 0), "boot flag" },
            { "bzImage header cut", bz[..0x220], "ends inside" },
            { "bzImage cut", bz[..^65], "protected-mode part" },
            { "old bzImage", With(bz, 0x206, 0x0b), "older than 2.12" },
            { "short setup header", With(bz, 0x201, 0x50), "setup header" },
            { "32-bit bzImage", With(bz, 0x236, 0), "64-bit entry" },
            { "zImage", With(bz, 0x211, 0), "64-bit entry" },
            { "bzImage below 1 MiB", KernelImages.BzImage(0x8000), "wants to load" },
            { "bzImage misaligned", KernelImages.BzImage(0x21_0000), "wants to load" },
            { "bzImage past memory", KernelImages.BzImage(16 * MiB), "mem_size_mib" },
            { "bzImage that wraps", KernelImages.BzImage(ulong.MaxValue & ~0x1f_ffffUL), "wants to load" },
            { "bzImage without alignment", With(bz, 0x230, 0, 0, 0, 0), "wants to load" },
            { "bzImage of nothing", With(bz, 0x1f4, 0, 0, 0, 0), "wants to load" },
        };
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void A_broken_kernel_is_refused_by_name_and_cause(string what, byte[] image, string cause)
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        string path = directory.File(image);
        KernelLoadException e = Assert.Throws<KernelLoadException>(() => KernelLoader.LoadKernel(memory, path));
        Assert.True(e.Message.Contains(cause, StringComparison.Ordinal), $"{what}: {e.Message}");
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_file_is_refused_at_once()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        string fifo = Path.Combine(directory.Path, "fifo");
        using (Process make = Process.Start("mkfifo", [fifo]))
        {
            make.WaitForExit();
        }

        foreach (string path in new[] { fifo, directory.Path, Path.Combine(directory.Path, "missing"), "", "/dev/null", "/dev/zero" })
        {
            Assert.Throws<KernelLoadException>(() => KernelLoader.LoadKernel(memory, path));
        }
    }

    [Theory]
    [InlineData(1, 16)]
    [InlineData(4096, 16)]
    [InlineData(4097, 16)]
    [InlineData(1_000_000, 64)]
    public void An_initrd_lies_page_aligned_as_high_as_it_can(int size, ulong memoryMib)
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(memoryMib * MiB);
        byte[] content = new byte[size];
        content[0] = 1;
        content[^1] |= 2;
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(KernelImages.Elf()));
        LoadedInitrd initrd = KernelLoader.LoadInitrd(memory, directory.File(content, "initrd"), kernel);
        ulong top = memoryMib * MiB;
        Assert.Equal(0UL, initrd.Address.Value % 4096);
        Assert.InRange(initrd.Address.Value + (ulong)size, top - 4095, top);
        byte[] loaded = new byte[size];
        Assert.True(memory.TryRead(initrd.Address, loaded));
        Assert.Equal(content, loaded);
    }

    [Fact]
    public void A_bzimage_says_how_high_its_initrd_may_lie()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(64 * MiB);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(KernelImages.BzImage(initrdMax: 0x1ff_ffff)));
        LoadedInitrd initrd = KernelLoader.LoadInitrd(memory, directory.File(new byte[10_000], "initrd"), kernel);
        Assert.Equal(new GuestAddress((32 * MiB) - 0x3000), initrd.Address);
    }

    [Fact]
    public void An_initrd_fills_the_room_above_the_kernel_to_the_byte_and_no_more()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(2 * MiB);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(KernelImages.Elf()));
        int room = (int)(2 * MiB - (KernelImages.ElfBase + 0x1000));
        LoadedInitrd initrd = KernelLoader.LoadInitrd(memory, directory.File(new byte[room], "initrd"), kernel);
        Assert.Equal(new GuestAddress(KernelImages.ElfBase + 0x1000), initrd.Address);
        string tooLarge = directory.File(new byte[room + 1], "initrd");
        KernelLoadException e = Assert.Throws<KernelLoadException>(() => KernelLoader.LoadInitrd(memory, tooLarge, kernel));
        Assert.Contains("mem_size_mib", e.Message, StringComparison.Ordinal);
        string empty = directory.File([], "empty");
        Assert.Throws<KernelLoadException>(() => KernelLoader.LoadInitrd(memory, empty, kernel));
    }

    private static byte[] With(byte[] image, int offset, params byte[] bytes)
    {
        byte[] copy = [.. image];
        bytes.CopyTo(copy, offset);
        return copy;
    }
}
