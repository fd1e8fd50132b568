using System.Buffers.Binary;
using System.Text;
using Vmm.Acpi;
using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Boot;

/// <summary>
/// SMBIOS structures with the contents of QEMU's <c>virt</c> (DMTF DSP0134 3.0: 5.2.2, 7). Firmware finds them through fw_cfg and adds its
/// own type 0; a kernel that is entered directly finds them in RAM.
/// </summary>
public static class Smbios
{
    public const string AnchorFile = "etc/smbios/smbios-anchor";
    public const string TablesFile = "etc/smbios/smbios-tables";

    private const int AnchorSize = 24;
    private const int AnchorRoom = 32;
    private const ushort MemoryArray = 0x1000;
    private const ulong LargestModule = 16ul << 30;

    /// <summary>The files that firmware reads.</summary>
    public static IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> Build(IBoard board)
    {
        byte[] tables = [.. Structures(board).SelectMany(s => s)];
        return [new(AnchorFile, Anchor(tables.Length)), new(TablesFile, tables)];
    }

    /// <summary>The entry point and the structures behind it, for an address at which firmware would have placed them.</summary>
    public static byte[] Build(IBoard board, ulong address)
    {
        byte[] bios = new Structure(0, 0, 24).Text(0x04, "Vmm").Text(0x05, "direct boot").Text(0x08, "01/01/2026")
            // The characteristics are UEFI, virtual machine, and targeted content distribution.
            .U64(0x0A, 8).Set(0x13, 0x1C).Set(0x16, 0xFF).Set(0x17, 0xFF).ToArray();
        byte[] tables = [.. bios, .. Structures(board).SelectMany(s => s)];
        byte[] anchor = Anchor(tables.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(anchor.AsSpan(16), address + AnchorRoom);
        anchor[5] = AcpiTable.Checksum(anchor);
        return [.. anchor, .. new byte[AnchorRoom - AnchorSize], .. tables];
    }

    // The 64-bit entry point, whose address and checksum are still to be filled in.
    private static byte[] Anchor(int length)
    {
        byte[] anchor = new byte[AnchorSize];
        "_SM3_"u8.CopyTo(anchor);
        anchor[6] = (byte)anchor.Length;
        anchor[7] = 3;
        anchor[10] = 1;
        BinaryPrimitives.WriteInt32LittleEndian(anchor.AsSpan(12), length);
        return anchor;
    }

    private static IEnumerable<byte[]> Structures(IBoard board)
    {
        MachineConfig config = board.Config;
        CpuTopology topology = config.Topology;
        // Wake-up type 6 is the power switch.
        yield return new Structure(1, 0x100, 27).Text(0x04, "Vmm").Text(0x05, "Vmm Virtual Machine")
            .Text(0x06, "virt").Bytes(0x08, config.Uuid.ToByteArray()).Set(0x18, 6).ToArray();
        // Type 1 is other. The states are safe (3), the security status is unknown (2).
        yield return new Structure(3, 0x300, 22).Text(0x04, "Vmm").Set(0x05, 1).Text(0x06, "virt")
            .Set(0x09, 3).Set(0x0A, 3).Set(0x0B, 3).Set(0x0C, 2).ToArray();
        int cores = topology.Clusters * topology.Cores;
        for (int socket = 0; socket < topology.Sockets; socket++)
        {
            yield return Processor(config.Cpu.Name, socket, cores, cores * topology.Threads);
        }

        int modules = (int)((config.MemoryBytes + LargestModule - 1) / LargestModule);
        ulong kibibytes = config.MemoryBytes >> 10;
        yield return new Structure(16, MemoryArray, 23).Set(0x04, 1).Set(0x05, 3).Set(0x06, 6) // other, system memory, multi-bit ECC
            .U32(0x07, (uint)Math.Min(kibibytes, 0x8000_0000)).U16(0x0B, 0xFFFE).U16(0x0D, (ushort)modules)
            .U64(0x0F, kibibytes < 0x8000_0000 ? 0 : config.MemoryBytes).ToArray();
        for (int module = 0; module < modules; module++)
        {
            yield return Memory(module, Math.Min(LargestModule, config.MemoryBytes - ((ulong)module * LargestModule)));
        }

        ulong start = board.Map.Ram.Value;
        ulong end = start + config.MemoryBytes - 1;
        yield return new Structure(19, 0x1300, 31).U32(0x04, (uint)(start >> 10)).U32(0x08, (uint)(end >> 10))
            .U16(0x0C, MemoryArray).Set(0x0E, 1).ToArray();
        yield return new Structure(32, 0x2000, 11).ToArray();
        yield return new Structure(127, 0x7F00, 4).ToArray();
    }

    private static byte[] Processor(string model, int socket, int cores, int threads) => new Structure(4, (ushort)(0x400 + socket), 48)
        .Text(0x04, $"CPU {socket}").Set(0x05, 3).Set(0x06, 0xFE).Text(0x07, "Vmm").Text(0x10, model) // CPU; family in 0x28
        .U16(0x14, 2000).U16(0x16, 2000).Set(0x18, 0x41).Set(0x19, 1)                                 // 2 GHz; populated, enabled; other
        .U16(0x1A, 0xFFFF).U16(0x1C, 0xFFFF).U16(0x1E, 0xFFFF)                                        // no caches described
        .Set(0x23, (byte)Math.Min(cores, 255)).Set(0x24, (byte)Math.Min(cores, 255)).Set(0x25, (byte)Math.Min(threads, 255))
        .U16(0x26, 4).U16(0x28, 0x101)                                                                // 64-bit; Armv8
        .U16(0x2A, (ushort)cores).U16(0x2C, (ushort)cores).U16(0x2E, (ushort)threads).ToArray();

    private static byte[] Memory(int module, ulong bytes)
    {
        uint mebibytes = (uint)((bytes + 0xF_FFFF) >> 20);
        return new Structure(17, (ushort)(0x1100 + module), 40)
            .U16(0x04, MemoryArray).U16(0x06, 0xFFFE).U16(0x08, 0xFFFF).U16(0x0A, 0xFFFF)
            .U16(0x0C, (ushort)Math.Min(mebibytes, 0x7FFF)).U32(0x1C, mebibytes < 0x7FFF ? 0 : mebibytes)
            .Set(0x0E, 9).Text(0x10, $"DIMM {module}").Set(0x12, 7).U16(0x13, 2).Text(0x17, "Vmm").ToArray(); // DIMM, RAM, other
    }

    // A structure: the formatted area, and behind it the strings, each of which ends with 0; another 0 ends the structure.
    private sealed class Structure
    {
        private readonly byte[] _area;
        private readonly List<string> _strings = [];

        public Structure(byte type, ushort handle, byte length)
        {
            _area = new byte[length];
            _area[0] = type;
            _area[1] = length;
            U16(2, handle);
        }

        public Structure Set(int offset, byte value)
        {
            _area[offset] = value;
            return this;
        }

        public Structure Bytes(int offset, ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_area.AsSpan(offset));
            return this;
        }

        public Structure U16(int offset, ushort value)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(_area.AsSpan(offset), value);
            return this;
        }

        public Structure U32(int offset, uint value)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(_area.AsSpan(offset), value);
            return this;
        }

        public Structure U64(int offset, ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_area.AsSpan(offset), value);
            return this;
        }

        public Structure Text(int offset, string value)
        {
            _strings.Add(value);
            return Set(offset, (byte)_strings.Count);
        }

        public byte[] ToArray() =>
            [.. _area, .. Encoding.ASCII.GetBytes(string.Concat(_strings.Select(s => s + '\0')) + (_strings.Count == 0 ? "\0\0" : "\0"))];
    }
}
