using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Devices.CfiFlash.CfiFlashSpec;

namespace Vmm.Emulation.Devices.CfiFlash;

/// <summary>
/// A bank of flash with the Intel command set. In array mode the guest reads and executes its bytes as memory. After a command the bank is
/// a device until the array is selected again. Programming clears bits; erasing sets all bits of a sector.
/// <para>
/// A bank with a file stays busy after a change, until its owner has written the change back: status bit 7 is 0, and commands other than
/// Read Status Register are ignored. <see cref="WriteBackReady"/> tells the owner. So every change that the guest has seen completed is
/// kept.
/// </para>
/// </summary>
public sealed partial class CfiFlash : IMmioDevice
{
    private readonly Lock _lock = new();
    private readonly GuestMemory _memory;
    private readonly bool _readOnly;
    private readonly byte[] _query;
    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly byte[] _locks;
    private ReadMode _mode;
    private Step _step;
    private byte _errors;

    // Buffered programming: the number of words yet to come, and the block of BufferSize bytes that takes them (-1 before the first word).
    private int _count;
    private int _block;

    // The range that is still to be written back; empty if there is none.
    private int _dirtyStart;
    private int _dirtyLength;

    private enum ReadMode : byte
    {
        Array,
        Status,
        Identifier,
        Query,
    }

    /// <summary>The meaning of the next write.</summary>
    private enum Step : byte
    {
        Command,
        ProgramData,
        EraseConfirm,
        LockConfirm,
        BufferCount,
        BufferData,
        BufferConfirm,
    }

    /// <param name="name">The name of the bank in traces.</param>
    /// <param name="memory">The array: read-only memory of whole sectors at the address of the bank.</param>
    /// <param name="readOnly">Whether programming and erasing fail.</param>
    /// <param name="store">The file to which the owner writes changes back. It has the size of the bank; null for none.</param>
    public CfiFlash(string name, GuestMemory memory, bool readOnly, SafeFileHandle? store = null)
    {
        if (!memory.IsReadOnly || memory.Size % SectorSize != 0 || memory.Size > int.MaxValue)
        {
            throw new ArgumentException($"flash must be read-only memory of whole sectors of {SectorSize >> 10} KiB");
        }

        Name = name;
        Store = readOnly ? null : store;
        _memory = memory;
        _readOnly = readOnly;
        _query = Query(memory.Size);
        _locks = new byte[memory.Size / SectorSize];
    }

    public string Name { get; }

    /// <summary>
    /// The file to which the owner writes changes back. With a file each change waits for <see cref="CompleteWriteBack"/>. Null for a bank
    /// that keeps nothing.
    /// </summary>
    public SafeFileHandle? Store { get; }

    /// <summary>The array.</summary>
    public GuestMemory Memory => _memory;

    /// <summary>Bytes of the bank.</summary>
    public int Size => (int)_memory.Size;

    /// <summary>Rings when there is a change to write back.</summary>
    public Doorbell WriteBackReady { get; } = new();

    /// <summary>The range to write back; false if there is none. The range stays the same until <see cref="CompleteWriteBack"/>.</summary>
    public bool TryGetWriteBack(out int start, out int length)
    {
        lock (_lock)
        {
            (start, length) = (_dirtyStart, _dirtyLength);
            return length > 0;
        }
    }

    /// <summary>Copies bytes of the array.</summary>
    public void CopyContents(int start, Span<byte> destination) => Bytes(start, destination.Length).CopyTo(destination);

    /// <summary>
    /// Ends a write-back. If it failed, the guest sees an error of programming and erasing.
    /// </summary>
    public void CompleteWriteBack(bool written)
    {
        lock (_lock)
        {
            _errors |= written ? (byte)0 : (byte)(ProgramError | EraseError);
            _dirtyLength = 0;
        }
    }

    /// <summary>Selects array mode, and clears errors and locks. The contents stay, and so does the range to write back.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            _errors = 0;
            _step = Step.Command;
            (_count, _block) = (0, -1);
            _buffer.AsSpan().Fill(0xFF);
            Array.Clear(_locks);
            SetMode(ReadMode.Array);
        }
    }

    public ulong Read(ulong offset, int size)
    {
        if (size == 8)
        {
            return Read(offset, 4) | (Read(offset + 4, 4) << 32);
        }

        lock (_lock)
        {
            if (_mode == ReadMode.Array)
            {
                Span<byte> bytes = stackalloc byte[8];
                Bytes((int)offset, size).CopyTo(bytes);
                return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            }

            int word = (int)(offset / BusWidth);
            ushort value = _mode switch
            {
                ReadMode.Status => Status,
                ReadMode.Identifier => (word & 0xFF) switch
                {
                    ManufacturerWord => Manufacturer,
                    DeviceWord => Device,
                    BlockLockWord => _locks[(int)offset / SectorSize],
                    _ => 0,
                },
                _ => word < _query.Length ? _query[word] : (ushort)0,
            };
            return MmioAccess.Truncate(OfBoth(value) >> (int)(offset % BusWidth * 8), size);
        }
    }

    public void Write(ulong offset, int size, ulong value)
    {
        if (size == 8)
        {
            Write(offset, 4, (uint)value);
            Write(offset + 4, 4, value >> 32);
            return;
        }

        bool ring;
        lock (_lock)
        {
            if (_dirtyLength > 0)
            {
                return;
            }

            Accept((int)offset, size, (uint)value);
            ring = _dirtyLength > 0;
        }

        if (ring)
        {
            WriteBackReady.Ring();
        }
    }

    private byte Status => (byte)(_errors | (_dirtyLength > 0 ? 0 : Ready));

    private void Accept(int offset, int size, uint value)
    {
        Step step = _step;
        _step = Step.Command;
        switch (step)
        {
            case Step.Command:
                AcceptCommand((byte)value);
                break;
            case Step.ProgramData:
                Span<byte> data = stackalloc byte[4];
                BinaryPrimitives.WriteUInt32LittleEndian(data, value);
                ProgramBytes(offset, data[..size]);
                break;
            case Step.EraseConfirm:
                if ((byte)value == Confirm)
                {
                    Erase(offset / SectorSize);
                }
                else
                {
                    _errors |= EraseError | ProgramError;
                }

                break;
            case Step.LockConfirm:
                SetLock(offset / SectorSize, (byte)value);
                break;
            case Step.BufferCount:
                // The value is the number of words for each chip, less one.
                _count = (ushort)value + 1;
                _block = -1;
                if (_count <= BufferSize / BusWidth)
                {
                    _step = Step.BufferData;
                }
                else
                {
                    _errors |= EraseError | ProgramError;
                }

                break;
            case Step.BufferData:
                AcceptBufferData(offset, size, value);
                break;
            case Step.BufferConfirm:
                if ((byte)value == Confirm)
                {
                    ProgramBytes(_block, _buffer);
                }
                else
                {
                    _errors |= EraseError | ProgramError;
                }

                break;
        }
    }

    private void AcceptCommand(byte command)
    {
        (_mode, _step) = command switch
        {
            Program or ProgramAlternate => (ReadMode.Status, Step.ProgramData),
            EraseSetup => (ReadMode.Status, Step.EraseConfirm),
            LockSetup => (ReadMode.Status, Step.LockConfirm),
            BufferedProgram => (ReadMode.Status, Step.BufferCount),
            ReadStatus => (ReadMode.Status, Step.Command),
            ReadIdentifier => (ReadMode.Identifier, Step.Command),
            ReadQuery => (ReadMode.Query, Step.Command),
            ClearStatus => (_mode, Step.Command),
            _ => (ReadMode.Array, Step.Command), // Read Array; whatever is no command does as much
        };
        if (command == ClearStatus)
        {
            _errors = 0;
        }

        if (command == BufferedProgram)
        {
            _buffer.AsSpan().Fill(0xFF);
        }

        SetMode(_mode);
    }

    // Bytes of the buffer that the guest does not write are all ones, which program nothing.
    private void AcceptBufferData(int offset, int size, uint value)
    {
        int block = offset & -BufferSize;
        int end = offset - block + size;
        if ((_block >= 0 && block != _block) || end > BufferSize)
        {
            _errors |= EraseError | ProgramError;
            return;
        }

        _block = block;
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        data[..size].CopyTo(_buffer.AsSpan(end - size));
        _step = --_count > 0 ? Step.BufferData : Step.BufferConfirm;
    }

    private void ProgramBytes(int start, ReadOnlySpan<byte> data)
    {
        if (Refuses(start / SectorSize) || Refuses((start + data.Length - 1) / SectorSize))
        {
            _errors |= ProgramError | Locked;
            return;
        }

        Span<byte> bytes = Bytes(start, data.Length);
        for (int i = 0; i < data.Length; i++)
        {
            bytes[i] &= data[i];
        }

        Changed(start, data.Length);
    }

    private void Erase(int sector)
    {
        if (Refuses(sector))
        {
            _errors |= EraseError | Locked;
            return;
        }

        Bytes(sector * SectorSize, SectorSize).Fill(0xFF);
        Changed(sector * SectorSize, SectorSize);
    }

    private bool Refuses(int sector) => _readOnly || (_locks[sector] & BlockLocked) != 0;

    private void SetLock(int sector, byte what)
    {
        switch (what)
        {
            case LockBlock:
                _locks[sector] |= BlockLocked;
                break;
            case LockBlockDown:
                _locks[sector] = BlockLockedDown;
                break;
            case Confirm when _locks[sector] != BlockLockedDown:
                _locks[sector] = 0;
                break;
            case Confirm:
                break;
            default:
                _errors |= EraseError | ProgramError;
                break;
        }
    }

    private void Changed(int start, int length)
    {
        if (Store != null)
        {
            (_dirtyStart, _dirtyLength) = (start, length);
        }
    }

    private void SetMode(ReadMode mode)
    {
        _mode = mode;
        _memory.SetDirect(mode == ReadMode.Array);
    }

    private Span<byte> Bytes(int start, int length) => _memory.Span(_memory.Start + (ulong)start, length);
}
