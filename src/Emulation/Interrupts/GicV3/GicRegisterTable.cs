using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>Adjacent 32-bit registers of one kind.</summary>
/// <param name="Offset">The offset of the first register in bytes from the start of the frame.</param>
/// <param name="Count">The number of registers.</param>
/// <param name="Read">Gives the value of a register, by its number from 0.</param>
/// <param name="Write">Writes a register; null if writes are ignored.</param>
/// <param name="WriteByte">
/// Writes a byte, by its number from the first register, for registers that allow accesses of any size.
/// </param>
/// <typeparam name="T">The part of the GIC that has the registers.</typeparam>
internal sealed record GicRegister<T>(
    ulong Offset, int Count, Func<T, int, uint> Read, Action<T, int, uint>? Write = null, Action<T, int, byte>? WriteByte = null);

/// <summary>The registers of a frame. An offset without a row reads as zero and ignores writes (IHI 0069, 12.1.3).</summary>
internal sealed class GicRegisterTable<T>(params GicRegister<T>[] rows)
{
    public ulong Read(T owner, ulong offset, int size)
    {
        ulong aligned = offset & ~3ul;
        ulong value = Read(owner, aligned);
        return size == 8
            ? value | ((ulong)Read(owner, aligned + 4) << 32)
            : MmioAccess.Truncate(value >> (int)((offset & 3) * 8), size);
    }

    public void Write(T owner, ulong offset, int size, ulong value)
    {
        if (Find(offset) is { WriteByte: { } writeByte } bytes)
        {
            int first = (int)(offset - bytes.Offset);
            for (int i = 0; i < size && first + i < bytes.Count * 4; i++)
            {
                writeByte(owner, first + i, (byte)(value >> (i * 8)));
            }

            return;
        }

        for (int done = 0; done + 4 <= size; done += 4)
        {
            ulong aligned = (offset & ~3ul) + (ulong)done;
            if (Find(aligned) is { Write: { } write } row)
            {
                write(owner, (int)(aligned - row.Offset) / 4, (uint)(value >> (done * 8)));
            }
        }
    }

    private uint Read(T owner, ulong offset) => Find(offset) is { } row ? row.Read(owner, (int)(offset - row.Offset) / 4) : 0;

    private GicRegister<T>? Find(ulong offset)
    {
        foreach (GicRegister<T> row in rows)
        {
            if (offset - row.Offset < (ulong)row.Count * 4)
            {
                return row;
            }
        }

        return null;
    }
}
