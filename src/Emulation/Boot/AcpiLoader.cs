using System.Buffers.Binary;
using System.Text;
using Vmm.Acpi;

namespace Vmm.Emulation.Boot;

/// <summary>
/// ACPI tables for firmware that finds them through fw_cfg: two files, and the script by which the firmware places them, patches their
/// pointers and computes their checksums (QEMU, hw/acpi/bios-linker-loader.c; EDK2, OvmfPkg/AcpiPlatformDxe/QemuLoader.h).
/// </summary>
public static class AcpiLoader
{
    public const string RsdpFile = "etc/acpi/rsdp";
    public const string TablesFile = "etc/acpi/tables";
    public const string LoaderFile = "etc/table-loader";

    private const int CommandSize = 128;
    private const int NameSize = 56;
    private const uint Allocate = 1;
    private const uint AddPointer = 2;
    private const uint AddChecksum = 3;
    private const byte High = 1;
    private const byte FSegment = 2;
    private const byte PointerSize = 8;

    /// <param name="tables">The tables, built for address 0.</param>
    public static IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> Build(AcpiTableSet tables)
    {
        byte[] rsdp = tables.Bytes[..AcpiTableSet.RsdpSize];
        byte[] others = tables.Bytes[AcpiTableSet.Alignment..];
        var script = new List<byte>();
        script.AddRange(AllocateCommand(RsdpFile, 16, FSegment));
        script.AddRange(AllocateCommand(TablesFile, AcpiTableSet.Alignment, High));
        foreach (ulong at in tables.Pointers)
        {
            // In the set the tables lie behind the RSDP. In the file they begin at 0.
            bool inRsdp = at < AcpiTableSet.Alignment;
            byte[] file = inRsdp ? rsdp : others;
            int offset = (int)at - (inRsdp ? 0 : AcpiTableSet.Alignment);
            Span<byte> pointer = file.AsSpan(offset, PointerSize);
            BinaryPrimitives.WriteUInt64LittleEndian(pointer, BinaryPrimitives.ReadUInt64LittleEndian(pointer) - AcpiTableSet.Alignment);
            script.AddRange(PointerCommand(inRsdp ? RsdpFile : TablesFile, TablesFile, offset));
        }

        foreach ((AcpiTable table, ulong address) in tables.Placed)
        {
            script.AddRange(ChecksumCommand(others, TablesFile, 9, (int)address - AcpiTableSet.Alignment, table.Bytes.Length));
        }

        script.AddRange(ChecksumCommand(rsdp, RsdpFile, 8, 0, 20));
        script.AddRange(ChecksumCommand(rsdp, RsdpFile, 32, 0, AcpiTableSet.RsdpSize));
        return
        [
            new(RsdpFile, rsdp),
            new(TablesFile, others),
            new(LoaderFile, script.ToArray()),
        ];
    }

    private static byte[] AllocateCommand(string file, int alignment, byte zone)
    {
        byte[] command = Command(Allocate, file);
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(4 + NameSize), alignment);
        command[8 + NameSize] = zone;
        return command;
    }

    private static byte[] PointerCommand(string file, string target, int offset)
    {
        byte[] command = Command(AddPointer, file);
        Encoding.ASCII.GetBytes(target, command.AsSpan(4 + NameSize));
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(4 + (2 * NameSize)), offset);
        command[8 + (2 * NameSize)] = PointerSize;
        return command;
    }

    // The checksum is computed while its own byte is 0.
    private static byte[] ChecksumCommand(byte[] bytes, string file, int checksum, int start, int length)
    {
        bytes[start + checksum] = 0;
        byte[] command = Command(AddChecksum, file);
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(4 + NameSize), start + checksum);
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(8 + NameSize), start);
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(12 + NameSize), length);
        return command;
    }

    private static byte[] Command(uint type, string file)
    {
        byte[] command = new byte[CommandSize];
        BinaryPrimitives.WriteUInt32LittleEndian(command, type);
        Encoding.ASCII.GetBytes(file, command.AsSpan(4));
        return command;
    }
}
