using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.Boot;

/// <summary>The files that firmware makes tables of: the ACPI loader's script executed as EDK2 does, SMBIOS judged by dmidecode.</summary>
public sealed class FirmwareTablesTests
{
    private static readonly MachineConfig s_config =
        new(CpuModel.Find("max")!, 2, new CpuTopology(2, 1, 3, 1), 20ul << 30, new BootConfig(default, null, ""))
        { Uuid = Guid.Parse("12345678-9abc-def0-1234-56789abcdef0") };

    [Fact]
    public void AcpiLoader_script_gives_the_tables_that_are_built_for_the_addresses()
    {
        const ulong RsdpAddress = 0x5000_0000;
        const ulong TablesAddress = 0x7000_0000;
        Dictionary<string, byte[]> files = Files(AcpiLoader.Build(AcpiTables.Build(new VirtBoard(s_config), 0)));
        var addresses = new Dictionary<string, ulong>();
        byte[] script = files["etc/table-loader"];
        for (int at = 0; at < script.Length; at += 128)
        {
            ReadOnlySpan<byte> command = script.AsSpan(at, 128);
            int U32(int offset) => BinaryPrimitives.ReadInt32LittleEndian(script.AsSpan(at + offset));
            string file = Name(command.Slice(4, 56));
            switch (U32(0))
            {
                case 1:
                    addresses[file] = file == "etc/acpi/rsdp" ? RsdpAddress : TablesAddress;
                    Assert.Equal(file == "etc/acpi/rsdp" ? (16, 2) : (64, 1), (U32(60), command[64]));
                    break;
                case 2:
                    Span<byte> pointer = files[file].AsSpan(U32(116), 8);
                    Assert.Equal(8, command[120]);
                    BinaryPrimitives.WriteUInt64LittleEndian(pointer,
                        BinaryPrimitives.ReadUInt64LittleEndian(pointer) + addresses[Name(command.Slice(60, 56))]);
                    break;
                case 3:
                    files[file][U32(60)] = AcpiTable.Checksum(files[file].AsSpan(U32(64), U32(68)));
                    break;
                default:
                    Assert.Fail($"command {U32(0)}");
                    break;
            }
        }

        AcpiTableSet expected = AcpiTables.Build(new VirtBoard(s_config), TablesAddress - 64);
        Assert.Equal(expected.Bytes[64..], files["etc/acpi/tables"]);
        Assert.Equal(expected.Bytes[..36], files["etc/acpi/rsdp"]);
    }

    [Fact]
    public void Smbios_dmidecode_finds_every_structure_and_no_fault()
    {
        const int TablesOffset = 32;
        Dictionary<string, byte[]> files = Files(Smbios.Build(new VirtBoard(s_config)));
        byte[] anchor = files["etc/smbios/smbios-anchor"];
        byte[] tables = files["etc/smbios/smbios-tables"];

        // As the firmware does.
        BinaryPrimitives.WriteUInt64LittleEndian(anchor.AsSpan(16), TablesOffset);
        anchor[5] = AcpiTable.Checksum(anchor);
        byte[] dump = new byte[TablesOffset + tables.Length];
        anchor.CopyTo(dump, 0);
        tables.CopyTo(dump, TablesOffset);
        AssertDescribesTheMachine(Dmidecode(dump));
    }

    [Fact]
    public void Smbios_of_a_direct_boot_has_a_BIOS_too()
    {
        string text = Dmidecode(Smbios.Build(new VirtBoard(s_config), 0));
        AssertDescribesTheMachine(text);
        Assert.Contains("BIOS Information", text, StringComparison.Ordinal);
        Assert.Contains("UEFI is supported", text, StringComparison.Ordinal);
    }

    private static void AssertDescribesTheMachine(string text)
    {
        Assert.Contains("SMBIOS 3.0.0 present.", text, StringComparison.Ordinal);
        Assert.Contains("UUID: 12345678-9abc-def0-1234-56789abcdef0", text, StringComparison.Ordinal);
        string[] expected =
        [
            "Manufacturer: Vmm", "Product Name: Vmm Virtual Machine", "Version: virt", "Wake-up Type: Power Switch", "Boot-up State: Safe",
            "Socket Designation: CPU 0", "Socket Designation: CPU 1", "Version: max", "Family: ARMv8",
            "Core Count: 3", "Thread Count: 3", "Status: Populated, Enabled",
            "Use: System Memory", "Maximum Capacity: 20 GB", "Number Of Devices: 2", "Size: 16 GB",
            "Size: 4 GB", "Locator: DIMM 1", "Range Size: 20 GB",
            "Status: No errors detected", "End Of Table",
        ];
        Assert.All(expected, line => Assert.Contains(line, text, StringComparison.Ordinal));
        Assert.DoesNotContain("OUT OF SPEC", text, StringComparison.Ordinal);
        Assert.DoesNotContain("TRUNCATED", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Wrong", text, StringComparison.Ordinal);
    }

    // A dump has the structures at the address that the entry point says.
    private static string Dmidecode(byte[] dump)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(file, dump);
            return Run("/usr/sbin/dmidecode", "--from-dump", file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static Dictionary<string, byte[]> Files(IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> files) =>
        files.ToDictionary(f => f.Key, f => f.Value.ToArray());

    private static string Name(ReadOnlySpan<byte> bytes) => Encoding.ASCII.GetString(bytes).TrimEnd('\0');

    private static string Run(string tool, params string[] arguments)
    {
        using Process process = Process.Start(
            new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output + errors.Result;
    }
}
