using System.Buffers.Binary;
using System.Text;

namespace Vmm.Acpi.Aml;

/// <summary>
/// AML terms, written as one writes ASL: each function returns the encoded bytes of a term (ACPI 6.5, chapter 20), and terms
/// nest. <c>Device("GED", Name("_UID", Integer(0)))</c>.
/// </summary>
public static class Asl
{
    /// <summary>Access to a field of an operation region (ACPI 6.5, 19.6.48).</summary>
    public enum Access
    {
        Any = 0,
        Byte = 1,
        Word = 2,
        DWord = 3,
    }

    /// <summary>The bits that a write of a field gives to the rest of the access unit.</summary>
    public enum Update
    {
        Preserve = 0,
        WriteAsOnes = 1,
        WriteAsZeros = 2,
    }

    /// <summary>A unit of a field list: a name and a width in bits; without a name, skipped bits.</summary>
    public readonly record struct FieldUnit(string? Name, int Bits);

    public static byte[] Zero => [0x00];

    public static byte[] One => [0x01];

    /// <summary>Local0 to Local7.</summary>
    public static byte[] Local(int n) => [(byte)(0x60 + n)];

    /// <summary>Arg0 to Arg6.</summary>
    public static byte[] Arg(int n) => [(byte)(0x68 + n)];

    /// <summary>The shortest encoding of an integer.</summary>
    public static byte[] Integer(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return value switch
        {
            0 => Zero,
            1 => One,
            <= byte.MaxValue => [0x0A, .. bytes[..1]],
            <= ushort.MaxValue => [0x0B, .. bytes[..2]],
            <= uint.MaxValue => [0x0C, .. bytes[..4]],
            _ => [0x0E, .. bytes],
        };
    }

    public static byte[] Text(string value) => [0x0D, .. Encoding.ASCII.GetBytes(value), 0];

    /// <summary>A compressed EISA identifier such as PNP0A06 (ACPI 6.5, 19.6.36).</summary>
    public static byte[] EisaId(string id)
    {
        uint value = ((uint)(id[0] - 0x40) << 26) | ((uint)(id[1] - 0x40) << 21) | ((uint)(id[2] - 0x40) << 16)
            | Convert.ToUInt32(id[3..], 16);
        byte[] result = new byte[5];
        result[0] = 0x0C;
        BinaryPrimitives.WriteUInt32BigEndian(result.AsSpan(1), value);
        return result;
    }

    /// <summary>A name string such as <c>\_SB.GED</c>; each segment is padded to four characters.</summary>
    public static byte[] Path(string path)
    {
        var bytes = new List<byte>();
        if (path.StartsWith('\\'))
        {
            bytes.Add((byte)'\\');
            path = path[1..];
        }

        string[] segments = path.Length == 0 ? [] : path.Split('.');
        if (segments.Length == 0)
        {
            bytes.Add(0);
        }
        else if (segments.Length == 2)
        {
            bytes.Add(0x2E);
        }
        else if (segments.Length > 2)
        {
            bytes.AddRange([0x2F, (byte)segments.Length]);
        }

        foreach (string segment in segments)
        {
            bytes.AddRange(Encoding.ASCII.GetBytes(segment.PadRight(4, '_')));
        }

        return [.. bytes];
    }

    public static byte[] Scope(string path, params byte[][] terms) => Package([0x10], [Path(path), .. terms]);

    public static byte[] Device(string name, params byte[][] terms) => Package([0x5B, 0x82], [Path(name), .. terms]);

    public static byte[] Name(string name, byte[] value) => [0x08, .. Path(name), .. value];

    public static byte[] Method(string name, int arguments, bool serialized, params byte[][] terms) =>
        Package([0x14], [Path(name), [(byte)(arguments | (serialized ? 8 : 0))], .. terms]);

    public static byte[] Mutex(string name) => [0x5B, 0x01, .. Path(name), 0];

    /// <summary>A region of SystemMemory.</summary>
    public static byte[] OperationRegion(string name, ulong address, ulong length) =>
        [0x5B, 0x80, .. Path(name), 0x00, .. Integer(address), .. Integer(length)];

    public static byte[] Field(string region, Access access, Update update, params FieldUnit[] units)
    {
        var list = new List<byte>();
        foreach (FieldUnit unit in units)
        {
            list.AddRange(unit.Name == null ? [0x00] : Path(unit.Name));
            list.AddRange(PackageLength(unit.Bits, includesItself: false));
        }

        return Package([0x5B, 0x81], [Path(region), [(byte)((int)access | ((int)update << 5))], [.. list]]);
    }

    public static byte[] Buffer(params byte[] bytes) => Package([0x11], [Integer((ulong)bytes.Length), bytes]);

    /// <summary>A Package object: a list of at most 255 elements.</summary>
    public static byte[] List(params byte[][] elements) => Package([0x12], [[(byte)elements.Length], .. elements]);

    public static byte[] If(byte[] condition, params byte[][] terms) => Package([0xA0], [condition, .. terms]);

    public static byte[] Else(params byte[][] terms) => Package([0xA1], terms);

    public static byte[] While(byte[] condition, params byte[][] terms) => Package([0xA2], [condition, .. terms]);

    public static byte[] Break => [0xA5];

    public static byte[] Return(byte[] value) => [0xA4, .. value];

    public static byte[] Store(byte[] value, byte[] target) => [0x70, .. value, .. target];

    public static byte[] And(byte[] a, byte[] b, byte[] target) => [0x7B, .. a, .. b, .. target];

    public static byte[] Or(byte[] a, byte[] b, byte[] target) => [0x7D, .. a, .. b, .. target];

    public static byte[] LEqual(byte[] a, byte[] b) => [0x93, .. a, .. b];

    public static byte[] LNot(byte[] a) => [0x92, .. a];

    /// <summary>A buffer with a UUID, in the byte order of ToUUID (ACPI 6.5, 19.6.142).</summary>
    public static byte[] Uuid(string uuid) => Buffer(Guid.Parse(uuid).ToByteArray());

    /// <summary>Names 32 bits of a buffer.</summary>
    public static byte[] CreateDWordField(byte[] buffer, byte[] index, string name) => [0x8A, .. buffer, .. index, .. Path(name)];

    public static byte[] Notify(byte[] device, byte[] value) => [0x86, .. device, .. value];

    /// <summary>Waits for ever.</summary>
    public static byte[] Acquire(string mutex) => [0x5B, 0x23, .. Path(mutex), 0xFF, 0xFF];

    public static byte[] Release(string mutex) => [0x5B, 0x27, .. Path(mutex)];

    public static byte[] Call(string method, params byte[][] arguments) => [.. Path(method), .. Concat(arguments)];

    /// <summary>Resource descriptors (ACPI 6.5, 6.4) and the end tag.</summary>
    public static byte[] ResourceTemplate(params byte[][] descriptors) => Buffer([.. Concat(descriptors), 0x79, 0x00]);

    public static byte[] Memory32Fixed(uint address, uint length)
    {
        byte[] bytes = [0x86, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), address);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), length);
        return bytes;
    }

    /// <summary>Interrupt (ResourceConsumer, Edge or Level, ActiveHigh, Exclusive) of one GSIV.</summary>
    public static byte[] Interrupt(uint gsiv, bool edge)
    {
        byte[] bytes = [0x89, 6, 0, (byte)(edge ? 3 : 1), 1, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(5), gsiv);
        return bytes;
    }

    /// <summary>The numbers of buses behind a host bridge.</summary>
    public static byte[] WordBusNumber(ushort first, ushort last)
    {
        byte[] bytes = [0x88, 13, 0, BusRange, ProducedFixed, 0, .. new byte[10]];
        ulong[] values = [0, first, last, 0, (ulong)(last - first + 1)];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(AddressFields + (i * 2)), (ushort)values[i]);
        }

        return bytes;
    }

    /// <summary>Memory that a host bridge passes on, not cacheable, at the same addresses on both sides.</summary>
    public static byte[] DWordMemory(uint first, uint length) => DWordAddress(MemoryRange, ReadWriteMemory, first, length, 0);

    /// <summary>As <see cref="DWordMemory"/>, with addresses of 64 bits.</summary>
    public static byte[] QWordMemory(ulong first, ulong length)
    {
        byte[] bytes = [0x8A, 43, 0, MemoryRange, ProducedFixed, ReadWriteMemory, .. new byte[40]];
        ulong[] values = [0, first, first + length - 1, 0, length];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(AddressFields + (i * 8)), values[i]);
        }

        return bytes;
    }

    /// <summary>I/O that a host bridge passes on.</summary>
    /// <param name="memory">The address of the memory whose accesses become I/O.</param>
    public static byte[] DWordIo(uint first, uint length, uint memory) => DWordAddress(IoRange, EntireIo, first, length, memory);

    // Address space descriptors (ACPI 6.5, 6.4.3.5): kind of resource, general flags (producer, fixed ends), flags of the kind; then
    // granularity, first, last, translation and length.
    private const byte MemoryRange = 0;
    private const byte IoRange = 1;
    private const byte BusRange = 2;
    private const byte ProducedFixed = 0x0C;
    private const byte ReadWriteMemory = 1;
    private const byte EntireIo = 3;
    private const int AddressFields = 6;

    private static byte[] DWordAddress(byte kind, byte flags, uint first, uint length, uint translation)
    {
        byte[] bytes = [0x87, 23, 0, kind, ProducedFixed, flags, .. new byte[20]];
        uint[] values = [0, first, first + length - 1, translation, length];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(AddressFields + (i * 4)), values[i]);
        }

        return bytes;
    }

    private static byte[] Package(ReadOnlySpan<byte> opcode, byte[][] parts)
    {
        byte[] body = Concat(parts);
        return [.. opcode, .. PackageLength(body.Length, includesItself: true), .. body];
    }

    // PkgLength (ACPI 6.5, 20.2.4): one to four bytes, which count themselves where they begin a package.
    private static byte[] PackageLength(int length, bool includesItself)
    {
        if (length + (includesItself ? 1 : 0) < 0x40)
        {
            return [(byte)(length + (includesItself ? 1 : 0))];
        }

        int bytes = 2;
        while (length + (includesItself ? bytes : 0) >= 1 << (4 + (8 * (bytes - 1))))
        {
            bytes++;
        }

        int total = length + (includesItself ? bytes : 0);
        byte[] result = new byte[bytes];
        result[0] = (byte)(((bytes - 1) << 6) | (total & 0xF));
        for (int i = 1; i < bytes; i++)
        {
            result[i] = (byte)(total >> (4 + (8 * (i - 1))));
        }

        return result;
    }

    private static byte[] Concat(byte[][] parts)
    {
        byte[] all = new byte[parts.Sum(p => p.Length)];
        int offset = 0;
        foreach (byte[] part in parts)
        {
            part.CopyTo(all, offset);
            offset += part.Length;
        }

        return all;
    }
}
