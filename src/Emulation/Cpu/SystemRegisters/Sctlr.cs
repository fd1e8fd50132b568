using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>Bits of SCTLR_EL1 (Arm ARM D24.2.175) that something here acts on.</summary>
internal static class Sctlr
{
    public const ulong M = 1ul << 0;
    public const ulong A = 1ul << 1;
    public const ulong C = 1ul << 2;
    public const ulong Sa = 1ul << 3;
    public const ulong Sa0 = 1ul << 4;
    public const ulong NAa = 1ul << 6;
    public const ulong Uma = 1ul << 9;
    public const ulong EnRctx = 1ul << 10;
    public const ulong I = 1ul << 12;
    public const ulong EnDB = 1ul << 13;
    public const ulong Dze = 1ul << 14;
    public const ulong Uct = 1ul << 15;
    public const ulong NTwi = 1ul << 16;
    public const ulong NTwe = 1ul << 18;
    public const ulong Wxn = 1ul << 19;
    public const ulong Iesb = 1ul << 21;
    public const ulong Span = 1ul << 23;
    public const ulong E0e = 1ul << 24;
    public const ulong Ee = 1ul << 25;
    public const ulong Uci = 1ul << 26;
    public const ulong EnDA = 1ul << 27;
    public const ulong EnIB = 1ul << 30;
    public const ulong EnIA = 1ul << 31;
    public const ulong MscEn = 1ul << 33;
    public const ulong Bt0 = 1ul << 35;
    public const ulong Bt1 = 1ul << 36;
    public const ulong Itfsb = 1ul << 37;
    public const ulong Tcf0 = 3ul << 38;
    public const ulong Tcf = 3ul << 40;
    public const ulong Ata0 = 1ul << 42;
    public const ulong Ata = 1ul << 43;
    public const ulong Dssbs = 1ul << 44;
    public const ulong Epan = 1ul << 57;

    /// <summary>RES1 in Armv8.0 (bits 29, 28, 23, 22, 20, 11, 8, 7), and the reset value.</summary>
    public const ulong Reset = 0x30D0_0980;

    /// <summary>What an entry of the TLB says differs with these bits.</summary>
    public const ulong OfTranslation = M | A | C | Wxn | E0e | Ee | Epan | Tcf0 | Tcf | Ata0 | Ata;

    /// <summary>The bits that are not reserved on a CPU of a model; the others keep their reset values.</summary>
    public static ulong WritableOn(CpuModel model) =>
        M | A | C | Sa | Sa0 | Uma | I | Dze | Uct | NTwi | NTwe | Wxn | E0e | Ee | Uci
        | ((model.Features & Feature.Pan) != 0 ? Span : 0) | (model.HasSsbs ? Dssbs : 0)
        | ((model.Features & Feature.Specres) != 0 ? EnRctx : 0)
        | ((model.Features & Feature.Mops) != 0 ? MscEn : 0)
        | ((model.Features & Feature.Pauth) != 0 ? EnIA | EnIB | EnDA | EnDB : 0)
        | ((model.Features & Feature.Pan3) != 0 ? Epan : 0)
        | ((model.Features & Feature.Bti) != 0 ? Bt0 | Bt1 : 0)
        | ((model.Features & Feature.Mte3) != 0 ? Itfsb | Tcf0 | Tcf | Ata0 | Ata : 0)
        | (model.Ras != 0 ? Iesb : 0) | (model.HasLse2 ? NAa : 0);
}
