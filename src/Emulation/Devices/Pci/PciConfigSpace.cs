using System.Buffers.Binary;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>A register of a function.</summary>
/// <param name="Offset">The offset of its first byte.</param>
/// <param name="Size">Its size: 1 to 8 bytes.</param>
/// <param name="Value">The value after a reset.</param>
/// <param name="Writable">The bits that the guest can write.</param>
/// <param name="Clearable">The bits that the guest clears by writing 1.</param>
/// <param name="Changing">Other bits that the function changes.</param>
public readonly record struct PciRegister(
    int Offset, int Size, ulong Value, ulong Writable = 0, ulong Clearable = 0, ulong Changing = 0);

/// <summary>
/// The configuration space of a function: bytes, and for each bit whether the guest can write or clear it. What has no register reads as
/// zero and ignores writes. The lock of the <see cref="PciHost"/> guards it.
/// </summary>
public sealed class PciConfigSpace
{
    private const int NoCapability = -1;

    private readonly byte[] _bytes;
    private readonly byte[] _initial;
    private readonly byte[] _writable;
    private readonly byte[] _clearable;
    private readonly byte[] _changing;
    private int _nextCapability = PciSpec.FirstCapability;
    private int _lastCapability = NoCapability;
    private int _nextExtended = PciSpec.FirstExtendedCapability;
    private int _lastExtended = NoCapability;

    /// <param name="express">Whether the function has the extended space of PCI Express behind the first 256 bytes.</param>
    /// <param name="registers">The registers of its header.</param>
    public PciConfigSpace(bool express, IEnumerable<PciRegister> registers)
    {
        int size = express ? PciSpec.ConfigurationSize : PciSpec.ConventionalSize;
        _bytes = new byte[size];
        _initial = new byte[size];
        _writable = new byte[size];
        _clearable = new byte[size];
        _changing = new byte[size];
        Add(registers);
    }

    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Adds registers, or gives bits of those that are there other properties.</summary>
    public void Add(IEnumerable<PciRegister> registers)
    {
        foreach (PciRegister register in registers)
        {
            Put(_bytes, register, register.Value);
            Put(_initial, register, register.Value);
            Put(_writable, register, register.Writable);
            Put(_clearable, register, register.Clearable);
            Put(_changing, register, register.Changing);
        }
    }

    /// <summary>Adds a capability to the list (PCI 3.0, 6.7).</summary>
    /// <param name="id">The number of the capability.</param>
    /// <param name="size">Its bytes, with the two of number and pointer.</param>
    /// <param name="registers">Its registers, with offsets from the beginning of the capability.</param>
    /// <returns>The offset of the capability.</returns>
    public int AddCapability(byte id, int size, params IEnumerable<PciRegister> registers)
    {
        int at = _nextCapability;
        _nextCapability = (at + size + 3) & ~3;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(_nextCapability, PciSpec.ConventionalSize);
        Add([new(at, 1, id), new(_lastCapability == NoCapability ? PciSpec.CapabilitiesPointer : _lastCapability + 1, 1, (byte)at)]);
        Add(registers.Select(r => r with { Offset = at + r.Offset }));
        _lastCapability = at;
        ushort status = (ushort)(Get(PciSpec.Status, 2) | PciSpec.StatusCapabilities);
        Add([new(PciSpec.Status, 2, status, Clearable: PciSpec.StatusErrors)]);
        return at;
    }

    /// <summary>Adds an extended capability to the list behind the first 256 bytes (PCIe 5.0, 7.6.3).</summary>
    /// <returns>The offset of the capability.</returns>
    public int AddExtendedCapability(ushort id, byte version, int size, params IEnumerable<PciRegister> registers)
    {
        int at = _nextExtended;
        _nextExtended = (at + size + 3) & ~3;
        Add([new(at, 4, id | ((uint)version << 16))]);
        if (_lastExtended != NoCapability)
        {
            Add([new(_lastExtended + 2, 2, (Get(_lastExtended + 2, 2) & 0xF) | ((uint)at << 4))]);
        }

        Add(registers.Select(r => r with { Offset = at + r.Offset }));
        _lastExtended = at;
        return at;
    }

    /// <summary>A register's value, little endian; zero behind the end.</summary>
    public ulong Get(int offset, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size && offset + i < _bytes.Length; i++)
        {
            value |= (ulong)_bytes[offset + i] << (i * 8);
        }

        return value;
    }

    public ushort Get16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(offset));

    /// <summary>Sets a register, whatever the guest may write.</summary>
    public void Set(int offset, int size, ulong value) => Put(_bytes, new PciRegister(offset, size, 0), value);

    /// <summary>Sets or clears bits of a register of 16 bits, whatever the guest may write.</summary>
    public void SetBits(int offset, ushort bits, bool value) =>
        Set(offset, sizeof(ushort), (ulong)(value ? Get16(offset) | bits : Get16(offset) & ~bits));

    /// <summary>A write by the guest, which may lie across registers.</summary>
    public void Write(int offset, int size, ulong value)
    {
        for (int i = 0; i < size && offset + i < _bytes.Length; i++)
        {
            int at = offset + i;
            byte given = (byte)(value >> (i * 8));
            int written = (_bytes[at] & ~_writable[at]) | (given & _writable[at]);
            _bytes[at] = (byte)(written & ~(given & _clearable[at]));
        }
    }

    /// <summary>Gives each register its value after a reset.</summary>
    public void Reset() => _initial.CopyTo(_bytes.AsSpan());

    /// <summary>
    /// Takes saved bytes. Bits that neither the guest nor the function can change stay as they are, so that a damaged state makes no other
    /// function.
    /// </summary>
    /// <param name="bytes">As many as <see cref="Bytes"/> has.</param>
    public void Load(ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i < _bytes.Length; i++)
        {
            int changes = _writable[i] | _clearable[i] | _changing[i];
            _bytes[i] = (byte)((_initial[i] & ~changes) | (bytes[i] & changes));
        }
    }

    private static void Put(byte[] bytes, PciRegister register, ulong value)
    {
        for (int i = 0; i < register.Size; i++)
        {
            bytes[register.Offset + i] = (byte)(value >> (i * 8));
        }
    }
}
