using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.PointerAuthentication;

/// <summary>The keys, by their place in <see cref="CpuState.PointerKeys"/>: two words each, the low one first.</summary>
internal enum PointerKey
{
    InstructionA,
    InstructionB,
    DataA,
    DataB,
    Generic,
}

/// <summary>
/// Pointer authentication: FEAT_PAuth2, on most models with FEAT_FPACCOMBINE (Arm ARM D8.10, and J1.3: InsertPAC, Auth and Strip). A code
/// fills the bits of a pointer that its translation does not use, but for bit 55: the mask in <see cref="CpuState.PointerMasks"/>.
/// </summary>
internal static unsafe class PointerCode
{
    private const ulong RangeBit = 1ul << 55;
    private const ulong TopByte = 0xFFul << 56;

    // TCR_EL1.TBI0; TBID0, which leaves the top byte of instruction addresses alone. TBI1 and TBID1 are the bits above.
    private const int TopByteIgnored = 37;
    private const int TopByteIgnoredForData = 51;

    /// <summary>
    /// Makes the masks of TCR_EL1: for addresses of the upper and of the lower range, of data and then of instructions.
    /// </summary>
    public static void UpdateMasks(VcpuCore core)
    {
        CpuState* s = core.State;
        for (int range = 0; range < 2; range++)
        {
            ulong unused = (ulong.MaxValue << TableWalk.InputBits(core.Model, s->TcrEl1, range != 0)) & ~RangeBit;
            s->PointerMasks[LowerMask(PointerKey.DataA) - range] = IgnoresTop(s, range, data: true) ? unused & ~TopByte : unused;
            s->PointerMasks[LowerMask(PointerKey.InstructionA) - range] = IgnoresTop(s, range, data: false) ? unused & ~TopByte : unused;
        }
    }

    /// <summary>
    /// Where in <see cref="CpuState.PointerMasks"/> the mask of the lower range is for a key. That of the upper range is before it.
    /// </summary>
    public static int LowerMask(PointerKey key) => IsData(key) ? 1 : 3;

    /// <summary>The bit of SCTLR_EL1 that enables the instructions of a key; 0 of the generic key, which always is.</summary>
    public static ulong EnableBit(PointerKey key) => key switch
    {
        PointerKey.InstructionA => Sctlr.EnIA,
        PointerKey.InstructionB => Sctlr.EnIB,
        PointerKey.DataA => Sctlr.EnDA,
        PointerKey.DataB => Sctlr.EnDB,
        _ => 0,
    };

    /// <summary>
    /// InsertPAC: the pointer with a code. A pointer whose unused bits are not alike gets one that no authentication accepts.
    /// </summary>
    public static ulong Sign(VcpuCore core, ulong pointer, ulong modifier, PointerKey key)
    {
        CpuState* s = core.State;
        ulong mask = MaskOf(s, pointer, key);
        bool anyIgnored = IgnoresTop(s, 0, IsData(key)) || IgnoresTop(s, 1, IsData(key));
        bool upper = ((pointer >> (anyIgnored ? 55 : 63)) & 1) != 0;
        ulong code = Compute(core, Extend(pointer, mask, upper), modifier, key);
        ulong signed = pointer ^ (code & mask);
        return upper ? signed | RangeBit : signed & ~RangeBit;
    }

    /// <summary>Auth: the pointer without its code. Where the code is another than that of the pointer: false, or without
    /// FEAT_FPAC a pointer that is not canonical.</summary>
    public static bool TryAuthenticate(VcpuCore core, ulong pointer, ulong modifier, PointerKey key, out ulong result)
    {
        ulong mask = MaskOf(core.State, pointer, key);
        bool upper = (pointer & RangeBit) != 0;
        ulong original = Extend(pointer, mask, upper);
        result = pointer ^ (Compute(core, original, modifier, key) & mask);
        return result == original || !core.Has(Feature.Fpac);
    }

    /// <summary>Strip: the pointer without its code, whatever that is.</summary>
    public static ulong Strip(CpuState* s, ulong pointer, PointerKey key) =>
        Extend(pointer, MaskOf(s, pointer, key), (pointer & RangeBit) != 0);

    /// <summary>ComputePAC, by the algorithm of the model: 64 bits, of which a pointer takes those that are unused.</summary>
    public static ulong Compute(VcpuCore core, ulong data, ulong modifier, PointerKey key)
    {
        ulong low = core.State->PointerKeys[2 * (int)key];
        ulong high = core.State->PointerKeys[(2 * (int)key) + 1];
        return core.Has(Feature.PauthImpdef) ? PointerHash.Compute(data, modifier, low, high)
            : core.Has(Feature.PauthQarma3) ? Qarma.Compute(data, modifier, low, high, Qarma.Three)
            : Qarma.Compute(data, modifier, low, high, Qarma.Five);
    }

    private static ulong Extend(ulong pointer, ulong mask, bool upper) =>
        upper ? pointer | mask | RangeBit : pointer & ~(mask | RangeBit);

    private static ulong MaskOf(CpuState* s, ulong pointer, PointerKey key) =>
        s->PointerMasks[LowerMask(key) - (int)((pointer >> 55) & 1)];

    private static bool IsData(PointerKey key) => key >= PointerKey.DataA;

    private static bool IgnoresTop(CpuState* s, int range, bool data) =>
        ((s->TcrEl1 >> (TopByteIgnored + range)) & 1) != 0 && (data || ((s->TcrEl1 >> (TopByteIgnoredForData + range)) & 1) == 0);
}
