using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>
/// Logical tags in addresses, and allocation tags in memory (FEAT_MTE, FEAT_MTE2; Arm ARM C4.1.92, C4.1.93 and C4.1.95).
/// </summary>
internal static unsafe class MemoryTaggingTable
{
    private const Effects Tag = ReadRn | WriteRd | SystemState;

    public static readonly EncodingRow[] Rows =
    [
        new("1 0 0 100011 0 uuuuuu 00 xxxx nnnnn ddddd", "ADDG", Operation.Addg, Tag, &Operands.AddSubTag, &TagInstructions.Add,
            Feature.Mte),
        new("1 1 0 100011 0 uuuuuu 00 xxxx nnnnn ddddd", "SUBG", Operation.Addg, Tag, &Operands.AddSubTag, &TagInstructions.Subtract,
            Feature.Mte),
        new("1 0 0 11010110 mmmmm 000100 nnnnn ddddd", "IRG", Operation.Irg, Tag | ReadRm, &Operands.InsertTag,
            &TagInstructions.InsertRandom, Feature.Mte),
        new("1 0 0 11010110 mmmmm 000101 nnnnn ddddd", "GMI", Operation.Gmi, ReadRn | ReadRm | WriteRd, &Operands.TagMask,
            &TagInstructions.InsertInMask, Feature.Mte),
        new("1 0 0 11010110 mmmmm 000000 nnnnn ddddd", "SUBP", Operation.Subp, ReadRn | ReadRm | WriteRd, &Operands.SubtractPointers,
            &TagInstructions.SubtractPointers, Feature.Mte),
        new("1 0 1 11010110 mmmmm 000000 nnnnn ddddd", "SUBPS", Operation.Subps, ReadRn | ReadRm | WriteRd | WriteFlags,
            &Operands.SubtractPointers, &TagInstructions.SubtractPointersFlags, Feature.Mte),

        new("11 011001 01 1 iiiiiiiii 00 nnnnn ttttt", "LDG", Operation.TagMemory, Unknown, &Operands.LoadTag, &TagInstructions.Load,
            Feature.Mte),
        new("11 011001 00 1 iiiiiiiii 01 nnnnn ttttt", "STG (post-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PostIndex, OneGranule>, Feature.Mte),
        new("11 011001 00 1 iiiiiiiii 10 nnnnn ttttt", "STG (offset)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<Offset, OneGranule>, Feature.Mte),
        new("11 011001 00 1 iiiiiiiii 11 nnnnn ttttt", "STG (pre-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PreIndex, OneGranule>, Feature.Mte),
        new("11 011001 01 1 iiiiiiiii 01 nnnnn ttttt", "STZG (post-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PostIndex, OneZeroGranule>, Feature.Mte),
        new("11 011001 01 1 iiiiiiiii 10 nnnnn ttttt", "STZG (offset)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<Offset, OneZeroGranule>, Feature.Mte),
        new("11 011001 01 1 iiiiiiiii 11 nnnnn ttttt", "STZG (pre-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PreIndex, OneZeroGranule>, Feature.Mte),
        new("11 011001 10 1 iiiiiiiii 01 nnnnn ttttt", "ST2G (post-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PostIndex, TwoGranules>, Feature.Mte),
        new("11 011001 10 1 iiiiiiiii 10 nnnnn ttttt", "ST2G (offset)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<Offset, TwoGranules>, Feature.Mte),
        new("11 011001 10 1 iiiiiiiii 11 nnnnn ttttt", "ST2G (pre-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PreIndex, TwoGranules>, Feature.Mte),
        new("11 011001 11 1 iiiiiiiii 01 nnnnn ttttt", "STZ2G (post-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PostIndex, TwoZeroGranules>, Feature.Mte),
        new("11 011001 11 1 iiiiiiiii 10 nnnnn ttttt", "STZ2G (offset)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<Offset, TwoZeroGranules>, Feature.Mte),
        new("11 011001 11 1 iiiiiiiii 11 nnnnn ttttt", "STZ2G (pre-index)", Operation.TagMemory, Unknown, &Operands.StoreTag,
            &TagInstructions.Store<PreIndex, TwoZeroGranules>, Feature.Mte),
        new("01 101 0 001 0 iiiiiii uuuuu nnnnn ttttt", "STGP (post-index)", Operation.TagMemory, Unknown, &Operands.StoreTagAndPair,
            &TagInstructions.StorePair<PostIndex>, Feature.Mte),
        new("01 101 0 010 0 iiiiiii uuuuu nnnnn ttttt", "STGP (offset)", Operation.TagMemory, Unknown, &Operands.StoreTagAndPair,
            &TagInstructions.StorePair<Offset>, Feature.Mte),
        new("01 101 0 011 0 iiiiiii uuuuu nnnnn ttttt", "STGP (pre-index)", Operation.TagMemory, Unknown, &Operands.StoreTagAndPair,
            &TagInstructions.StorePair<PreIndex>, Feature.Mte),

        new("11 011001 00 1 000000000 00 nnnnn ttttt", "STZGM", Operation.TagMemory, Unknown, &Operands.TagBlock,
            &TagInstructions.StoreZeroBlock, Feature.Mte3),
        new("11 011001 10 1 000000000 00 nnnnn ttttt", "STGM", Operation.TagMemory, Unknown, &Operands.TagBlock,
            &TagInstructions.StoreBlock, Feature.Mte3),
        new("11 011001 11 1 000000000 00 nnnnn ttttt", "LDGM", Operation.TagMemory, Unknown, &Operands.TagBlock,
            &TagInstructions.LoadBlock, Feature.Mte3),
        new("00 011 1 01 11 0 sssss 00 oo 01 nnnnn ddddd", "SETGP", Operation.SetTagged, Unknown, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mte3 | Feature.Mops),
        new("00 011 1 01 11 0 sssss 01 oo 01 nnnnn ddddd", "SETGM", Operation.SetTagged, Unknown, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mte3 | Feature.Mops),
        new("00 011 1 01 11 0 sssss 10 oo 01 nnnnn ddddd", "SETGE", Operation.SetTagged, Unknown, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mte3 | Feature.Mops),
        new("1101010100 0 00 011 0100 mmmm 100 11111", "MSR TCO (immediate)", Operation.MsrTcoImmediate, Unknown, &Operands.None,
            &TagInstructions.MsrOverride, Feature.Mte),
    ];
}
