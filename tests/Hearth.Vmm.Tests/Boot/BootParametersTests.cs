using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Boot;

public class BootParametersTests
{
    private const ulong MiB = 1 << 20;
    private const ulong GiB = 1 << 30;

    [Theory]
    [InlineData(64, 64 * MiB - MiB, 0)]
    [InlineData(3072, 3 * GiB - MiB, 0)]
    [InlineData(4096, 3 * GiB - MiB, GiB)]
    public void The_memory_map_covers_all_ram_but_the_tables(ulong mib, ulong expectedLow, ulong expectedHigh)
    {
        using var memory = GuestMemory.Create(mib * MiB);
        List<MemoryMapEntry> map = MemoryMapEntry.Build(memory);
        var expected = new List<MemoryMapEntry>
        {
            new(0, 0x9_fc00, MemoryMapType.Usable),
            new(0x9_fc00, 0x6_0400, MemoryMapType.Reserved),
            new(MiB, expectedLow, MemoryMapType.Usable),
        };
        if (expectedHigh != 0)
        {
            expected.Add(new MemoryMapEntry(4 * GiB, expectedHigh, MemoryMapType.Usable));
        }

        Assert.Equal(expected, map);
    }

    [Fact]
    public void The_zero_page_tells_an_elf_kernel_all_it_needs()
    {
        using var memory = GuestMemory.Create(4096 * MiB);
        var kernel = new LoadedKernel(BootProtocol.Linux64, new GuestAddress(MiB), new GuestAddress(2 * MiB), default);
        BootParameters.Write(memory, new BootInformation(kernel, new LoadedInitrd(new GuestAddress(0x300_0000), 12345), [.. "quiet\0"u8], new GuestAddress(0xe_0000)));
        byte[] page = new byte[4096];
        Assert.True(memory.TryRead(new GuestAddress(MemoryLayout.ZeroPage), page));

        // A sentinel other than zero would make the kernel distrust the page.
        Assert.Equal(0, page[0x1ef]);
        Assert.Equal(0xe_0000UL, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x70)));
        Assert.Equal(0xaa55, BinaryPrimitives.ReadUInt16LittleEndian(page.AsSpan(0x1fe)));
        Assert.Equal("HdrS"u8, page.AsSpan(0x202, 4));
        Assert.Equal(0xff, page[0x210]);
        Assert.Equal(0x300_0000u, BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x218)));
        Assert.Equal(12345u, BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x21c)));
        uint commandLine = BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x228));
        byte[] text = new byte[6];
        Assert.True(memory.TryRead(new GuestAddress(commandLine), text));
        Assert.Equal("quiet\0"u8, text);
        Assert.Equal(4, page[0x1e8]);
        Assert.Equal(4 * GiB, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x2d0 + (3 * 20))));
        Assert.Equal(GiB, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x2d0 + (3 * 20) + 8)));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x2d0 + (3 * 20) + 16)));
    }

    [Fact]
    public void A_bzimage_finds_its_own_setup_header_again()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        byte[] image = KernelImages.BzImage();
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(image));
        BootParameters.Write(memory, new BootInformation(kernel, null, [.. "quiet\0"u8], new GuestAddress(0xe_0000)));
        byte[] page = new byte[4096];
        Assert.True(memory.TryRead(new GuestAddress(MemoryLayout.ZeroPage), page));
        Assert.Equal(image.AsSpan(0x22c, 0x238 - 0x22c), page.AsSpan(0x22c, 0x238 - 0x22c));
        Assert.Equal(image.AsSpan(0x23c, 0x268 - 0x23c), page.AsSpan(0x23c, 0x268 - 0x23c));
    }

    [Fact]
    public void A_command_line_longer_than_the_kernel_takes_is_refused()
    {
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        byte[] image = KernelImages.BzImage();
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x238), 4);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(image));
        var boot = new BootInformation(kernel, null, [.. "quiet\0"u8], new GuestAddress(0));
        Assert.Contains("boot_args", Assert.Throws<HearthException>(() => BootParameters.Write(memory, boot)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pvh_start_info_leads_to_everything()
    {
        using var memory = GuestMemory.Create(4096 * MiB);
        var kernel = new LoadedKernel(BootProtocol.Pvh, new GuestAddress(MiB), new GuestAddress(2 * MiB), default);
        BootParameters.Write(memory, new BootInformation(kernel, new LoadedInitrd(new GuestAddress(0x300_0000), 12345), [.. "quiet\0"u8], new GuestAddress(0xe_0000)));
        byte[] info = new byte[56];
        Assert.True(memory.TryRead(new GuestAddress(MemoryLayout.PvhStartInfo), info));
        Assert.Equal(0x336e_c578u, BinaryPrimitives.ReadUInt32LittleEndian(info));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(info.AsSpan(4)));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(info.AsSpan(12)));
        Assert.True(memory.TryRead(new GuestAddress(BinaryPrimitives.ReadUInt64LittleEndian(info.AsSpan(16))), out ulong module));
        Assert.Equal(0x300_0000UL, module);
        Assert.Equal(MemoryLayout.CommandLine, BinaryPrimitives.ReadUInt64LittleEndian(info.AsSpan(24)));
        Assert.Equal(0xe_0000UL, BinaryPrimitives.ReadUInt64LittleEndian(info.AsSpan(32)));
        ulong map = BinaryPrimitives.ReadUInt64LittleEndian(info.AsSpan(40));
        Assert.Equal(4u, BinaryPrimitives.ReadUInt32LittleEndian(info.AsSpan(48)));
        Assert.True(memory.TryRead(new GuestAddress(map + (3 * 24)), out ulong high));
        Assert.Equal(4 * GiB, high);
        Assert.True(map + (4 * 24) <= MemoryLayout.ZeroPage);
    }
}
