using System.Buffers.Binary;

namespace Vmm.Emulation.Boot;

/// <summary>A PE file: the form of EFI applications, and of a Linux <c>Image</c> with an EFI stub (Microsoft, "PE Format").</summary>
public static class PeFile
{
    private const int SignatureOffset = 0x3C;
    private const int FileHeaderSize = 24;
    private const int SectionHeaderSize = 40;

    /// <summary>Whether the file begins as a PE file does: with the letters MZ.</summary>
    public static bool IsPe(ReadOnlySpan<byte> file) => file is [(byte)'M', (byte)'Z', ..];

    /// <summary>Checks that all sections of a PE file are there. A file of another kind passes.</summary>
    /// <param name="file">The file up to the end of its section table, or all of it.</param>
    /// <param name="length">The size of the file in bytes.</param>
    /// <exception cref="InvalidDataException">The file ends before a section does.</exception>
    public static void RequireWhole(ReadOnlySpan<byte> file, long length)
    {
        if (!IsPe(file) || file.Length < SignatureOffset + 4)
        {
            return;
        }

        long header = BinaryPrimitives.ReadUInt32LittleEndian(file[SignatureOffset..]);
        if (header == 0)
        {
            // This is a Linux Image without an EFI stub.
            return;
        }

        long end = header + FileHeaderSize;
        if (end <= file.Length)
        {
            ReadOnlySpan<byte> fields = file[(int)header..];
            if (!fields.StartsWith("PE\0\0"u8))
            {
                return;
            }

            int sections = BinaryPrimitives.ReadUInt16LittleEndian(fields[6..]);
            long table = end + BinaryPrimitives.ReadUInt16LittleEndian(fields[20..]);
            end = table + (sections * SectionHeaderSize);
            for (long at = table;
                at < table + (sections * SectionHeaderSize) && at + SectionHeaderSize <= file.Length;
                at += SectionHeaderSize)
            {
                ReadOnlySpan<byte> section = file[(int)at..];
                long size = BinaryPrimitives.ReadUInt32LittleEndian(section[16..]);
                end = Math.Max(end, BinaryPrimitives.ReadUInt32LittleEndian(section[20..]) + size);
            }
        }

        if (end > length)
        {
            throw new InvalidDataException($"the kernel is truncated: it has {length} bytes, and its section table tells of {end}");
        }
    }
}
