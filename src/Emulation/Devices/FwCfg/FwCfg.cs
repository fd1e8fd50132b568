using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.FwCfg.FwCfgSpec;

namespace Vmm.Emulation.Devices.FwCfg;

/// <summary>
/// QEMU's firmware configuration device. The guest selects an item and reads its bytes, by single accesses or by DMA into its RAM. A
/// transfer is complete when the write that started it is. Bytes beyond the end of an item are zeros and take hardly any time.
/// </summary>
/// <remarks>
/// DMA reaches RAM only. The whole range is checked before a byte is copied: a range that is not wholly in RAM ends with the error bit. A
/// descriptor outside RAM is dropped, because there is no place for the error bit. No item can be written.
/// </remarks>
public sealed partial class FwCfg(IDmaMemory ram) : IMmioDevice
{
    private readonly Lock _lock = new();
    private ushort _key;
    private uint _offset;
    private uint _dmaHigh;
    private FwCfgItems _items = FwCfgItems.None;

    public string Name => "fw_cfg";

    /// <summary>Sets the items, which describe the machine. No vCPU runs.</summary>
    public void Offer(FwCfgItems items) => _items = items;

    public void Reset()
    {
        lock (_lock)
        {
            Select(FwCfgKey.Signature);
            _dmaHigh = 0;
        }
    }

    public ulong Read(ulong offset, int size)
    {
        Span<byte> bytes = stackalloc byte[8];
        if (offset == Data)
        {
            lock (_lock)
            {
                ReadOnlySpan<byte> rest = Rest();
                rest = rest[..Math.Min(rest.Length, size)];
                rest.CopyTo(bytes);
                _offset += (uint)rest.Length;
            }
        }
        else if (offset >= DmaAddress && offset + (ulong)size <= Size)
        {
            DmaSignature.Slice((int)(offset - DmaAddress), size).CopyTo(bytes);
        }

        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    public void Write(ulong offset, int size, ulong value)
    {
        lock (_lock)
        {
            switch (offset, size)
            {
                case (Selector, 2):
                    Select(BinaryPrimitives.ReverseEndianness((ushort)value));
                    break;
                case (DmaAddress, 4):
                    _dmaHigh = BinaryPrimitives.ReverseEndianness((uint)value);
                    break;
                case (DmaAddressLow, 4):
                    Transfer(((ulong)_dmaHigh << 32) | BinaryPrimitives.ReverseEndianness((uint)value));
                    _dmaHigh = 0;
                    break;
                case (DmaAddress, 8):
                    Transfer(BinaryPrimitives.ReverseEndianness(value));
                    _dmaHigh = 0;
                    break;
            }
        }
    }

    private void Select(ushort key)
    {
        _key = (ushort)(key & ~WriteChannel);
        _offset = 0;
    }

    // The bytes of the item that are still to be read.
    private ReadOnlySpan<byte> Rest()
    {
        ReadOnlySpan<byte> item = _items.Find(_key).Span;
        return _offset < (uint)item.Length ? item[(int)_offset..] : default;
    }

    // It is done from the start again when a page of the guest's RAM was missing: until all of them are there it selects at most, and
    // writes what it will write again.
    private void Transfer(ulong descriptor)
    {
        Span<byte> bytes = stackalloc byte[DescriptorSize];
        if (!ram.TryRead(descriptor, bytes))
        {
            return;
        }

        uint control = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        ulong address = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        if ((control & DmaSelect) != 0)
        {
            Select((ushort)(control >> 16));
        }

        // If several operations are requested, only the first one in QEMU's order is done.
        bool done = true;
        if (length > 0 && (control & DmaRead) != 0)
        {
            done = TryCopy(address, length);
        }
        else if (length > 0 && (control & DmaWrite) != 0)
        {
            done = false;
        }
        else if ((control & DmaSkip) != 0)
        {
            Advance(length);
        }

        BinaryPrimitives.WriteUInt32BigEndian(bytes, done ? 0 : DmaError);
        ram.TryWrite(descriptor, bytes[..sizeof(uint)]);
    }

    private bool TryCopy(ulong address, uint length)
    {
        if (!ram.IsRam(address, length))
        {
            return false;
        }

        ReadOnlySpan<byte> rest = Rest();
        rest = rest[..(int)Math.Min((uint)rest.Length, length)];
        ram.TryWrite(address, rest);
        ram.TryZero(address + (uint)rest.Length, length - (uint)rest.Length);
        Advance(length);
        return true;
    }

    // Moves the position, but not beyond the end of the item.
    private void Advance(uint length) => _offset += (uint)Math.Min((ulong)Rest().Length, length);
}
