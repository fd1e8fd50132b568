using System.Buffers.Binary;
using System.Numerics;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using static Vmm.Emulation.Devices.Pci.PciSpec;

namespace Vmm.Emulation.Devices.Pci;

/// <summary>
/// The MSI-X capability of a function (PCI 3.0, 6.8.2): a table with a message for each vector, and a bit for each that is pending because
/// it is masked. Both are in one window, as QEMU's functions have them: of 4 KiB with the bits in its second half, or larger with the bits
/// behind the table. The lock of the <see cref="PciHost"/> guards it.
/// </summary>
public sealed class PciMsix : IMmioDevice
{
    /// <summary>The largest number of vectors (PCI 3.0, 6.8.2.3).</summary>
    public const int MostVectors = 2048;

    private const int SmallestWindow = 0x1000;
    private const int EntrySize = 16;
    private const int ControlOffset = 12;
    private const uint Masked = 1;
    private const int Size = 12;
    private const int ControlRegister = 2;

    private readonly PciFunction _function;
    private readonly byte[] _table;
    private readonly ulong[] _pending;
    private readonly int _pendingOffset;
    private readonly int _control;

    /// <param name="function">The function.</param>
    /// <param name="vectors">The number of its vectors.</param>
    /// <param name="bar">The base address register that the function gives to the window.</param>
    public PciMsix(PciFunction function, int vectors, int bar)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vectors, MostVectors);
        _function = function;
        _table = new byte[vectors * EntrySize];
        _pending = new ulong[(vectors + 63) / 64];
        _pendingOffset = Math.Max(_table.Length, SmallestWindow / 2);
        _control = ControlRegister + function.Config.AddCapability(
            MsixCapability,
            Size,
            new PciRegister(ControlRegister, 2, (ulong)vectors - 1, Writable: MsixEnable | MsixFunctionMask),
            new PciRegister(4, 4, (ulong)bar),
            new PciRegister(8, 4, (ulong)(bar | _pendingOffset)));
        ResetLocked();
    }

    public string Name => "msix";

    public int Vectors => _table.Length / EntrySize;

    /// <summary>Bytes of the window: a power of two.</summary>
    public ulong WindowSize => BitOperations.RoundUpToPowerOf2(
        (ulong)Math.Max(_pendingOffset + (_pending.Length * sizeof(ulong)), SmallestWindow));

    /// <summary>Whether the guest uses MSI-X: then the function must not assert its pin.</summary>
    internal bool IsEnabledLocked => (_function.Config.Get16(_control) & MsixEnable) != 0;

    private Lock Lock => _function.Bus.Host.Lock;

    /// <summary>Sends the message of a vector, or keeps it while it is masked. Any thread.</summary>
    /// <returns>False if the guest does not use MSI-X.</returns>
    public bool Notify(int vector)
    {
        lock (Lock)
        {
            if (!IsEnabledLocked)
            {
                return false;
            }

            if ((uint)vector < (uint)Vectors)
            {
                _pending[vector / 64] |= 1ul << (vector % 64);
                SendPendingLocked();
            }

            return true;
        }
    }

    public ulong Read(ulong offset, int size)
    {
        lock (Lock)
        {
            ulong value = 0;
            for (int i = 0; i < size; i++)
            {
                value |= (ulong)ByteAt((int)offset + i) << (i * 8);
            }

            return value;
        }
    }

    /// <summary>Writes of 4 and 8 bytes alone are allowed (6.8.2).</summary>
    public void Write(ulong offset, int size, ulong value)
    {
        lock (Lock)
        {
            for (int i = 0; i + sizeof(uint) <= size; i += sizeof(uint))
            {
                int at = (int)offset + i;
                if (at % sizeof(uint) == 0 && at + sizeof(uint) <= _table.Length)
                {
                    uint mask = at % EntrySize == ControlOffset ? Masked : uint.MaxValue;
                    BinaryPrimitives.WriteUInt32LittleEndian(_table.AsSpan(at), (uint)(value >> (i * 8)) & mask);
                }
            }

            SendPendingLocked();
        }
    }

    /// <summary>The function's configuration space has changed: what was masked may be sent now.</summary>
    internal void ConfigChangedLocked() => SendPendingLocked();

    internal void ResetLocked()
    {
        Array.Clear(_table);
        Array.Clear(_pending);
        for (int at = ControlOffset; at < _table.Length; at += EntrySize)
        {
            _table[at] = (byte)Masked;
        }
    }

    internal void SaveLocked(StateWriter writer)
    {
        writer.Write<byte>("msix-table", _table);
        writer.Write<ulong>("msix-pending", _pending);
    }

    internal void LoadLocked(StateReader reader)
    {
        reader.Read("msix-table", _table.AsSpan());
        reader.Read("msix-pending", _pending.AsSpan());
        int behind = (_pending.Length * 64) - Vectors;
        reader.Require(behind == 0 || _pending[^1] >> (64 - behind) == 0, "msix-pending");
    }

    private byte ByteAt(int offset) => offset < _table.Length ? _table[offset]
        : offset >= _pendingOffset && offset < _pendingOffset + (_pending.Length * sizeof(ulong))
            ? (byte)(_pending[(offset - _pendingOffset) / sizeof(ulong)] >> ((offset - _pendingOffset) % sizeof(ulong) * 8))
            : (byte)0;

    private void SendPendingLocked()
    {
        ushort control = _function.Config.Get16(_control);
        if ((control & (MsixEnable | MsixFunctionMask)) != MsixEnable || !_function.IsMasterLocked)
        {
            return;
        }

        for (int word = 0; word < _pending.Length; word++)
        {
            for (ulong left = _pending[word]; left != 0; left &= left - 1)
            {
                int vector = (word * 64) + BitOperations.TrailingZeroCount(left);
                ReadOnlySpan<byte> entry = _table.AsSpan(vector * EntrySize, EntrySize);
                if ((entry[ControlOffset] & Masked) == 0)
                {
                    _pending[word] &= ~(1ul << (vector % 64));
                    _function.SendLocked(new MsiMessage(
                        BinaryPrimitives.ReadUInt64LittleEndian(entry), BinaryPrimitives.ReadUInt32LittleEndian(entry[8..])));
                }
            }
        }
    }
}
