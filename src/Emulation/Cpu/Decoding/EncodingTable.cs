using Vmm.Emulation.Cpu.Decoding.Tables;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>All rows of all tables, and the index that finds the row of a word.</summary>
public static class EncodingTable
{
    private const int BucketShift = 21;
    private const uint HintMask = 0xFFFF_F01F;
    private const uint HintValue = 0xD503_201F;

    /// <summary>Every encoding that is implemented; <see cref="Interpreter.Op.Row"/> indexes it.</summary>
    public static EncodingRow[] Rows { get; } =
    [
        .. DataProcessingImmediate.Rows,
        .. DataProcessingRegister.Rows,
        .. FlagsAndMinMax.Rows,
        .. Branches.Rows,
        .. PointerAuthenticationTable.Rows,
        .. SystemTable.Rows,
        .. LoadsAndStores.Rows,
        .. ExclusivesAndAtomics.Rows,
        .. OrderedAccesses.Rows,
        .. MemoryCopyAndSet.Rows,
        .. MemoryTaggingTable.Rows,
        .. ScalarFloatingPoint.Rows,
        .. SimdFloatingPoint.Rows,
        .. FloatingPointExtensions.Rows,
        .. SimdLoadsAndStores.Rows,
        .. SimdStructureLoadsAndStores.Rows,
        .. SimdInteger.Rows,
        .. SimdShift.Rows,
        .. SimdMove.Rows,
        .. SimdCryptography.Rows,
        .. SimdMatrices.Rows,
        .. ScalableInteger.Rows,
        .. ScalablePermutes.Rows,
        .. ScalablePredicates.Rows,
        .. ScalableMemory.Rows,
        .. ScalableFloat.Rows,
        .. ScalableSecond.Rows,
        .. ScalableProducts.Rows,
        .. ScalableExtensions.Rows,
    ];

    /// <summary>The row of HINT.</summary>
    public static int Hint { get; } = Array.FindIndex(Rows, row => row.Operation == Operation.Hint);

    // Row indexes by bits 31:21 of the word.
    private static readonly ushort[][] Buckets = BuildBuckets();

    /// <summary>The row of a word, or -1 where it is unallocated or not implemented.</summary>
    public static int Find(uint word)
    {
        foreach (ushort row in Buckets[word >> BucketShift])
        {
            if (Rows[row].Matches(word))
            {
                return row;
            }
        }

        return -1;
    }

    /// <summary>
    /// The row of a word on a CPU with these features, or -1 where it is UNDEFINED. An instruction of the hint space that the CPU lacks is
    /// a HINT.
    /// </summary>
    public static int Find(uint word, Feature features)
    {
        int row = Find(word);
        bool lacks = row >= 0 && (Rows[row].Feature & ~features) != 0;
        return !lacks ? row : (word & HintMask) == HintValue ? Hint : -1;
    }

    /// <summary>The mnemonic of a word, for people.</summary>
    public static string MnemonicOf(uint word) => Find(word) is var row && row < 0 ? "UNDEFINED" : Rows[row].Mnemonic;

    private static ushort[][] BuildBuckets()
    {
        var buckets = new List<ushort>[1 << (32 - BucketShift)];
        for (int i = 0; i < buckets.Length; i++)
        {
            buckets[i] = [];
        }

        for (int row = 0; row < Rows.Length; row++)
        {
            uint mask = Rows[row].Mask >> BucketShift;
            uint value = Rows[row].Value >> BucketShift;
            uint free = ~mask & (uint)(buckets.Length - 1);
            uint subset = 0;
            do
            {
                buckets[value | subset].Add((ushort)row);
                subset = (subset - free) & free;
            }
            while (subset != 0);
        }

        return Array.ConvertAll(buckets, b => b.ToArray());
    }
}
