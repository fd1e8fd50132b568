using Vmm.Emulation.Cpu.Decoding.Tables;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>All rows of all tables, and the index that finds the row of a word.</summary>
public static class EncodingTable
{
    private const int GroupShift = 21;
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

    // The rows that a word may be of, one group after the other by bits 31:21 of the word, and where each group begins.
    private static readonly (Candidate[] Candidates, ushort[] Starts) s_groups = GroupRows();

    // What most words are told from by, side by side.
    private readonly record struct Candidate(uint Mask, uint Value, int Row);

    /// <summary>The row of a word, or -1 where it is unallocated or not implemented.</summary>
    public static int Find(uint word)
    {
        uint group = word >> GroupShift;
        foreach (ref readonly Candidate candidate in s_groups.Candidates.AsSpan(s_groups.Starts[group]..s_groups.Starts[group + 1]))
        {
            if ((word & candidate.Mask) == candidate.Value && !Rows[candidate.Row].IsExcepted(word))
            {
                return candidate.Row;
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

    private static (Candidate[] Candidates, ushort[] Starts) GroupRows()
    {
        var groups = new List<Candidate>[1 << (32 - GroupShift)];
        for (int i = 0; i < groups.Length; i++)
        {
            groups[i] = [];
        }

        for (int row = 0; row < Rows.Length; row++)
        {
            uint mask = Rows[row].Mask >> GroupShift;
            uint value = Rows[row].Value >> GroupShift;
            uint free = ~mask & (uint)(groups.Length - 1);
            uint subset = 0;
            do
            {
                groups[value | subset].Add(new Candidate(Rows[row].Mask, Rows[row].Value, row));
                subset = (subset - free) & free;
            }
            while (subset != 0);
        }

        var candidates = new List<Candidate>();
        var starts = new ushort[groups.Length + 1];
        for (int i = 0; i < groups.Length; i++)
        {
            candidates.AddRange(groups[i]);
            starts[i + 1] = checked((ushort)candidates.Count);
        }

        return ([.. candidates], starts);
    }
}
