using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Elements of vectors and predicates in memory. A size of elements is given as log2 of its bytes.</summary>
internal static unsafe class SveElements
{
    /// <summary>An element, zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(byte* vector, int index, int size) => size switch
    {
        0 => vector[index],
        1 => ((ushort*)vector)[index],
        2 => ((uint*)vector)[index],
        _ => ((ulong*)vector)[index],
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(byte* vector, int index, int size, ulong value)
    {
        switch (size)
        {
            case 0:
                vector[index] = (byte)value;
                break;
            case 1:
                ((ushort*)vector)[index] = (ushort)value;
                break;
            case 2:
                ((uint*)vector)[index] = (uint)value;
                break;
            default:
                ((ulong*)vector)[index] = value;
                break;
        }
    }

    /// <summary>Whether an element of a predicate is true: the lowest of its bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsActive(byte* predicate, int index, int size)
    {
        int bit = index << size;
        return ((predicate[bit >> 3] >> (bit & 7)) & 1) != 0;
    }

    /// <summary>Makes an element of a predicate whose bits are zero true.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Activate(byte* predicate, int index, int size)
    {
        int bit = index << size;
        predicate[bit >> 3] |= (byte)(1 << (bit & 7));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long SignExtend(ulong value, int bits) => (long)(value << (64 - bits)) >> (64 - bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Mask(int bits) => ulong.MaxValue >> (64 - bits);

    /// <summary>
    /// NZCV of a predicate under a governing one (Arm ARM, PredTest): N when its first active element is true, Z when none is, C when its
    /// last active element is not.
    /// </summary>
    public static uint Test(byte* governing, byte* result, int count, int size)
    {
        bool any = false;
        bool first = false;
        bool last = false;
        bool seen = false;
        for (int i = 0; i < count; i++)
        {
            if (IsActive(governing, i, size))
            {
                last = IsActive(result, i, size);
                first = seen ? first : last;
                any |= last;
                seen = true;
            }
        }

        return (first ? 1u << 31 : 0) | (any ? 0 : 1u << 30) | (last ? 0 : 1u << 29);
    }
}
