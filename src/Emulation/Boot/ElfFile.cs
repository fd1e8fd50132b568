using System.Buffers.Binary;
using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Boot;

/// <summary>A program in RAM before its start, with the MMU off.</summary>
/// <param name="Segments">The parts that the file contains. The rest of RAM is zeros.</param>
/// <param name="EntryPoint">Physical address of the first instruction.</param>
/// <param name="Start">Address of the first byte.</param>
/// <param name="End">Address after the last byte, .bss included.</param>
public sealed record LoadedProgram(IReadOnlyList<BootBlob> Segments, ulong EntryPoint, ulong Start, ulong End);

/// <summary>
/// Reads programs in ELF files ("ELF for the Arm 64-bit Architecture"; System V ABI, chapters 4 and 5). They are linked for physical
/// addresses in RAM.
/// </summary>
public static class ElfFile
{
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const ushort Executable = 2;
    private const ushort PositionIndependent = 3;
    private const ushort Aarch64 = 183;
    private const uint Load = 1;

    private static readonly (ushort Machine, string Name)[] s_machines =
        [(3, "i386"), (8, "MIPS"), (20, "PowerPC"), (40, "32-bit Arm"), (62, "x86-64"), (243, "RISC-V")];

    /// <summary>Whether the file begins as an ELF file does.</summary>
    public static bool IsElf(ReadOnlySpan<byte> file) => file is [0x7F, (byte)'E', (byte)'L', (byte)'F', ..];

    /// <param name="file">A file for which <see cref="IsElf"/> holds.</param>
    /// <param name="ram">Address of the first byte of RAM.</param>
    /// <param name="memoryBytes">Size of RAM.</param>
    /// <exception cref="InvalidDataException">The file is for another machine, damaged, or outside RAM. The message says which.</exception>
    public static LoadedProgram Parse(ReadOnlyMemory<byte> file, ulong ram, ulong memoryBytes)
    {
        ReadOnlySpan<byte> header = file.Span;
        RequireSupported(header);
        ulong entry = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
        ulong table = BinaryPrimitives.ReadUInt64LittleEndian(header[32..]);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(header[54..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header[56..]);
        if (count > 0 && (entrySize < ProgramHeaderSize
            || table > (ulong)header.Length
            || (ulong)count * (ulong)entrySize > (ulong)header.Length - table))
        {
            throw Truncated;
        }

        var segments = new List<BootBlob>();
        ulong start = ulong.MaxValue;
        ulong end = 0;
        ulong physicalEntry = entry;
        for (int i = 0; i < count; i++)
        {
            Segment segment = Segment.Read(header[((int)table + (i * entrySize))..]);
            if (segment.Type != Load || segment.MemorySize == 0)
            {
                continue;
            }

            if (segment.Offset > (ulong)header.Length || segment.FileSize > (ulong)header.Length - segment.Offset)
            {
                throw Truncated;
            }

            RequireInRam(segment, ram, memoryBytes);
            start = Math.Min(start, segment.Address);
            end = Math.Max(end, segment.Address + segment.MemorySize);
            segments.Add(new BootBlob($"kernel segment {i}", segment.Address, file.Slice((int)segment.Offset, (int)segment.FileSize)));

            // The entry point is a virtual address. The segment that contains it may be linked for another address than it is loaded at.
            if (entry - segment.VirtualAddress < segment.MemorySize)
            {
                physicalEntry = entry - segment.VirtualAddress + segment.Address;
            }
        }

        return segments.Count == 0 ? throw new InvalidDataException("the kernel is an ELF file without a segment to load")
            : physicalEntry < start || physicalEntry >= end || physicalEntry % 4 != 0
                ? throw new InvalidDataException(
                    $"the kernel is an ELF file with its entry point at 0x{entry:x}, where it has no instruction")
            : new LoadedProgram(segments, physicalEntry, start, end);
    }

    private static InvalidDataException Truncated => new("the kernel is a truncated ELF file");

    private static void RequireSupported(ReadOnlySpan<byte> header)
    {
        if (header.Length < HeaderSize)
        {
            throw Truncated;
        }

        bool bigEndian = header[5] == 2;
        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(header[16..]);
        ushort machine = bigEndian
            ? BinaryPrimitives.ReadUInt16BigEndian(header[18..])
            : BinaryPrimitives.ReadUInt16LittleEndian(header[18..]);
        if (machine != Aarch64)
        {
            string name = Array.Find(s_machines, m => m.Machine == machine).Name ?? $"machine {machine}";
            throw new InvalidDataException($"the kernel is an ELF file for {name}, not for AArch64");
        }

        if (bigEndian)
        {
            throw new InvalidDataException("the kernel is a big-endian ELF file; only little-endian ones run");
        }

        if (header[4] != 2)
        {
            throw new InvalidDataException("the kernel is an ELF file of 32 bits; only ones of 64 bits run");
        }

        if (type is not (Executable or PositionIndependent))
        {
            throw new InvalidDataException("the kernel is an ELF file that is not linked: give an executable");
        }
    }

    private static void RequireInRam(Segment segment, ulong ram, ulong memoryBytes)
    {
        ulong offset = segment.Address - ram;
        if (offset >= memoryBytes || segment.MemorySize > memoryBytes - offset)
        {
            throw new InvalidDataException(
                $"the kernel is an ELF file with 0x{segment.MemorySize:x} bytes at 0x{segment.Address:x}, "
                + $"which is not in RAM (0x{ram:x} to 0x{ram + memoryBytes - 1:x}); "
                + "of Linux give the Image, not vmlinux");
        }

        if (segment.FileSize > segment.MemorySize)
        {
            throw new InvalidDataException("the kernel is a damaged ELF file: a segment is larger in the file than in memory");
        }
    }

    // Elf64_Phdr.
    private readonly record struct Segment(uint Type, ulong Offset, ulong VirtualAddress, ulong Address, ulong FileSize, ulong MemorySize)
    {
        public static Segment Read(ReadOnlySpan<byte> b) => new(
            BinaryPrimitives.ReadUInt32LittleEndian(b),
            BinaryPrimitives.ReadUInt64LittleEndian(b[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(b[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(b[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(b[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(b[40..]));
    }
}
