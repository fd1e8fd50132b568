namespace Vmm.Emulation.Cpu;

/// <summary>
/// Constants of 16 bytes for translated code of SVE, behind the registers: it makes masks of predicates with them. For each size of
/// elements there is one that selects the bit of each element among the 16 bits of a predicate that are repeated all over it. The last one
/// is an order of bytes, by which those 16 bits are repeated for elements of one byte.
/// </summary>
internal static unsafe class ScalableConstants
{
    /// <summary>Bytes of one constant.</summary>
    public const int Each = 16;

    /// <summary>Bytes of all constants.</summary>
    public const int Size = (Sizes + 1) * Each;

    // Sizes of elements: 1, 2, 4 and 8 bytes.
    private const int Sizes = 4;

    /// <summary>Where the order of bytes is, from the first constant.</summary>
    public const int ByteOrder = Sizes * Each;

    /// <summary>Where the selection of a size is, from the first constant.</summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public static int Selection(int size) => size * Each;

    /// <summary>Writes the constants to memory.</summary>
    public static void Fill(byte* to)
    {
        new Span<byte>(to, Size).Clear();
        for (int i = 0; i < Each; i++)
        {
            to[i] = (byte)(1 << (i & 7));
            to[ByteOrder + i] = (byte)(i >> 3);
            for (int size = 1; size < Sizes; size++)
            {
                if (i % (1 << size) == 0)
                {
                    // The bit of an element has the number of its first byte.
                    *(ushort*)(to + Selection(size) + i) = (ushort)(1 << i);
                }
            }
        }
    }
}
