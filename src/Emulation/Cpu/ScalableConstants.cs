namespace Vmm.Emulation.Cpu;

/// <summary>
/// Constants of 16 bytes for translated code of SVE, behind the registers: it makes masks of predicates with them. For each size of
/// elements there is one that selects the bit of each element among the 16 bits of a predicate that are repeated all over it. Behind them
/// are an order of bytes, by which those 16 bits are repeated for elements of one byte; orders that bring the elements of one register
/// together in 16 bytes of structures; and for each size the predicate with all elements true.
/// </summary>
internal static unsafe class ScalableConstants
{
    /// <summary>Bytes of one constant.</summary>
    public const int Each = 16;

    /// <summary>Bytes of all constants.</summary>
    public const int Size = AllOffset + (Sizes * sizeof(ulong));

    // Sizes of elements: 1, 2, 4 and 8 bytes.
    private const int Sizes = 4;

    /// <summary>Where the order of bytes is, from the first constant.</summary>
    public const int ByteOrder = Sizes * Each;

    // Orders for structures of two registers and of four, each for bytes and halfwords.
    private const int Orders = (Sizes + 1) * Each;
    private const int AllOffset = Orders + (4 * Each);

    /// <summary>Where the selection of a size is, from the first constant.</summary>
    /// <param name="size">log2 of the bytes of an element.</param>
    public static int Selection(int size) => size * Each;

    /// <summary>
    /// Where the order is by which the elements of the first of some registers come first among 16 bytes of structures, then those of the
    /// second, and so on.
    /// </summary>
    /// <param name="registers">2 or 4.</param>
    /// <param name="size">log2 of the bytes of an element: 0 or 1.</param>
    public static int Structures(int registers, int size) => Orders + (((((registers / 2) - 1) * 2) + size) * Each);

    /// <summary>Where the predicate is whose elements of a size are all true, and nothing else.</summary>
    public static int All(int size) => AllOffset + (size * sizeof(ulong));

    /// <summary>Writes the constants to memory.</summary>
    /// <param name="length">The vector length, in bytes, that code is translated for: at most 64.</param>
    public static void Fill(byte* to, int length)
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

            for (int size = 0; size < 2; size++)
            {
                for (int registers = 2; registers <= 4; registers += 2)
                {
                    int each = (Each >> size) / registers;
                    int element = i >> size;
                    int from = (element % each * registers) + (element / each);
                    to[Structures(registers, size) + i] = (byte)((from << size) | (i & ((1 << size) - 1)));
                }
            }
        }

        for (int size = 0; size < Sizes; size++)
        {
            for (int i = 0; i < length; i += 1 << size)
            {
                *(ulong*)(to + All(size)) |= 1ul << i;
            }
        }
    }
}
