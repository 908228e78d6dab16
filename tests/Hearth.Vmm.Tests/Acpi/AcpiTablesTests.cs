using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Hearth.Platform.Memory;
using Hearth.Vmm.Acpi;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Acpi;

public class AcpiTablesTests
{
    private const ulong MiB = 1 << 20;

    public static TheoryData<int, int> Machines => new() { { 1, 0 }, { 1, 1 }, { 4, 3 }, { 32, 19 } };

    [Theory]
    [MemberData(nameof(Machines))]
    public void Every_table_sums_to_zero_and_ends_below_one_mib(int vcpus, int devices)
    {
        using var memory = GuestMemory.Create(64 * MiB);
        GuestAddress rsdp = AcpiTables.Write(memory, vcpus, Slots(devices));
        Assert.Equal(new GuestAddress(0xe_0000), rsdp);
        byte[] root = Bytes(memory, rsdp.Value, 36);
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(root, 0, 8));
        Assert.Equal(2, root[15]);
        Assert.Equal(0, Sum(root.AsSpan(0, 20)));
        Assert.Equal(0, Sum(root));
        foreach ((string signature, byte[] table) in Tables(memory, rsdp))
        {
            Assert.Equal(signature, Encoding.ASCII.GetString(table, 0, 4));
            Assert.Equal(0, Sum(table));
        }
    }

    [Theory]
    [MemberData(nameof(Machines))]
    public void The_madt_lists_every_vcpu_once_and_an_ioapic_of_another_id(int vcpus, int devices)
    {
        using var memory = GuestMemory.Create(64 * MiB);
        byte[] madt = Tables(memory, AcpiTables.Write(memory, vcpus, Slots(devices)))["APIC"];
        var apicIds = new List<byte>();
        byte? ioApicId = null;
        ReadOnlySpan<byte> rest = madt.AsSpan(44);
        while (rest.Length > 0)
        {
            Assert.InRange(rest[1], 2, rest.Length);
            if (rest[0] == 0)
            {
                Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]));
                apicIds.Add(rest[3]);
            }
            else if (rest[0] == 1)
            {
                Assert.Null(ioApicId);
                ioApicId = rest[2];
                Assert.Equal(0xfec0_0000u, BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]));
                Assert.Equal(0u, BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]));
            }

            rest = rest[rest[1]..];
        }

        Assert.Equal(Enumerable.Range(0, vcpus).Select(i => (byte)i), apicIds);
        Assert.NotNull(ioApicId);
        Assert.DoesNotContain(ioApicId.Value, apicIds);
    }

    [Fact]
    public void The_fadt_is_hardware_reduced_and_says_how_to_reset_and_power_off()
    {
        using var memory = GuestMemory.Create(64 * MiB);
        byte[] fadt = Tables(memory, AcpiTables.Write(memory, 1, []))["FACP"];
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(fadt.AsSpan(112));
        Assert.Equal(276, fadt.Length);
        Assert.NotEqual(0u, flags & (1 << 20));
        Assert.NotEqual(0u, flags & (1 << 10));
        Assert.Equal(0x64UL, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(120)));
        Assert.Equal(0xfe, fadt[128]);
        Assert.Equal(SleepRegisters.ControlPort, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(248)));
        Assert.Equal(SleepRegisters.StatusPort, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(260)));
    }

    [Fact]
    public void Only_a_power_off_written_to_the_sleep_control_register_powers_off()
    {
        int count = 0;
        var registers = new SleepRegisters(() => count++);
        for (int value = 0; value < 256; value++)
        {
            int before = count;
            registers.Write(1, [(byte)value]);
            Assert.Equal(before, count);
            registers.Write(0, [(byte)value]);
            bool powerOff = (value & 0x20) != 0 && ((value >> 2) & 7) == 5;
            Assert.Equal(before + (powerOff ? 1 : 0), count);
        }
    }

    /// <summary>ACPICA's compiler reads every table, and compiling its listing of the DSDT gives the same bytes.</summary>
    [Theory]
    [MemberData(nameof(Machines))]
    public void Acpica_reads_every_table_and_writes_the_same_dsdt(int vcpus, int devices)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/iasl"), "iasl is not installed (Debian package acpica-tools)");
        using var memory = GuestMemory.Create(64 * MiB);
        DirectoryInfo directory = Directory.CreateTempSubdirectory("hearth-acpi-");
        try
        {
            foreach ((string signature, byte[] table) in Tables(memory, AcpiTables.Write(memory, vcpus, Slots(devices))))
            {
                string path = Path.Combine(directory.FullName, signature);
                File.WriteAllBytes($"{path}.aml", table);
                string disassembly = Iasl(directory, "-d", $"{path}.aml");
                Assert.DoesNotContain("Error", disassembly, StringComparison.OrdinalIgnoreCase);
                Assert.DoesNotContain("Warning", disassembly, StringComparison.OrdinalIgnoreCase);
                string listing = File.ReadAllText($"{path}.dsl");
                Assert.DoesNotContain("should be", listing, StringComparison.Ordinal);
                if (signature == "DSDT")
                {
                    // -oa: no optimisation, so that the compiler writes what the listing says.
                    string compilation = Iasl(directory, "-oa", "-p", $"{path}-again", $"{path}.dsl");
                    Assert.Contains(" 0 Errors, 0 Warnings", compilation, StringComparison.Ordinal);
                    AssertSameCode(table, File.ReadAllBytes($"{path}-again.aml"));
                }
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    // All but what the compiler puts into the header: its checksum and its own name.
    private static void AssertSameCode(byte[] expected, byte[] actual) => Assert.Equal(expected[36..], actual[36..]);

    private static string Iasl(DirectoryInfo directory, params string[] arguments)
    {
        var start = new ProcessStartInfo("/usr/bin/iasl", arguments)
        {
            WorkingDirectory = directory.FullName,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.Result;
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }

    private static VirtioMmioSlot[] Slots(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new VirtioMmioSlot(MemoryLayout.VirtioMmioStart + ((ulong)i * 0x1000), 0x1000, MemoryLayout.FirstVirtioGsi + (uint)i))];

    private static Dictionary<string, byte[]> Tables(GuestMemory memory, GuestAddress rsdp)
    {
        byte[] root = Bytes(memory, rsdp.Value, 36);
        byte[] xsdt = Table(memory, BinaryPrimitives.ReadUInt64LittleEndian(root.AsSpan(24)));
        byte[] fadt = Table(memory, BinaryPrimitives.ReadUInt64LittleEndian(xsdt.AsSpan(36)));
        byte[] madt = Table(memory, BinaryPrimitives.ReadUInt64LittleEndian(xsdt.AsSpan(44)));
        Assert.Equal(52, xsdt.Length);
        return new Dictionary<string, byte[]>
        {
            ["XSDT"] = xsdt,
            ["FACP"] = fadt,
            ["APIC"] = madt,
            ["DSDT"] = Table(memory, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(140))),
        };
    }

    private static byte[] Table(GuestMemory memory, ulong address)
    {
        byte[] header = Bytes(memory, address, 36);
        int length = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4));
        Assert.InRange(address, 0xe_0000UL, 0x10_0000UL - (ulong)length);
        return Bytes(memory, address, length);
    }

    private static byte[] Bytes(GuestMemory memory, ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.True(memory.TryRead(new GuestAddress(address), bytes));
        return bytes;
    }

    private static byte Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum = unchecked((byte)(sum + b));
        }

        return sum;
    }
}
