using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>
/// Identification registers (Arm ARM D24.2): each field says what <see cref="CpuModel.Features"/> has and nothing more. The
/// AArch32 ones read as zero: there is no AArch32.
/// </summary>
internal static unsafe class IdentificationRegisters
{
    /// <summary>DC ZVA zeroes 64 bytes, and is allowed.</summary>
    public const ulong DczidEl0 = 4;

    private static readonly int Pfr0 = Key(4, 0);
    private static readonly int Pfr1 = Key(4, 1);
    private static readonly int Zfr0 = Key(4, 4);
    private static readonly int Dfr0 = Key(5, 0);
    private static readonly int Isar0 = Key(6, 0);
    private static readonly int Isar1 = Key(6, 1);
    private static readonly int Isar2 = Key(6, 2);
    private static readonly int Mmfr0 = Key(7, 0);
    private static readonly int Mmfr1 = Key(7, 1);
    private static readonly int Mmfr2 = Key(7, 2);

    private static readonly Dictionary<int, string> Names = new()
    {
        [Pfr0] = "ID_AA64PFR0_EL1", [Pfr1] = "ID_AA64PFR1_EL1", [Zfr0] = "ID_AA64ZFR0_EL1",
        [Dfr0] = "ID_AA64DFR0_EL1", [Isar0] = "ID_AA64ISAR0_EL1",
        [Isar1] = "ID_AA64ISAR1_EL1", [Isar2] = "ID_AA64ISAR2_EL1", [Mmfr0] = "ID_AA64MMFR0_EL1", [Mmfr1] = "ID_AA64MMFR1_EL1",
        [Mmfr2] = "ID_AA64MMFR2_EL1",
    };

    // What is the same on all models: EL0 and EL1 in AArch64 only; six breakpoints, of which two compare contexts, and four watchpoints;
    // 16-bit ASIDs, and mixed endianness at EL0 and EL1. TGran4 and TGran64 are 0, which means that they are there.
    private static readonly Dictionary<int, ulong> Common = new()
    {
        [Pfr0] = 0x11,
        [Dfr0] = 0x6ul | (5ul << 12) | (3ul << 20) | (1ul << 28),
        [Mmfr0] = (2ul << 4) | (1ul << 8),
    };

    // What a feature puts into a field, given by its lowest bit. A field that several features speak of holds the last that there is.
    private static readonly (int Register, int Field, ulong Value, Feature Feature)[] Fields =
    [
        (Pfr0, 16, 1, Feature.Fp16), (Pfr0, 20, 1, Feature.Fp16), (Pfr0, 32, 1, Feature.Sve), (Pfr0, 48, 1, Feature.Dit),
        (Pfr0, 56, 1, Feature.Csv), (Pfr0, 60, 1, Feature.Csv),
        (Pfr1, 0, 1, Feature.Bti), (Pfr1, 4, 2, Feature.Ssbs), (Pfr1, 8, 1, Feature.Mte), (Pfr1, 8, 3, Feature.Mte3),
        (Zfr0, 0, 1, Feature.Sve2), (Zfr0, 4, 1, Feature.Sve2 | Feature.Aes), (Zfr0, 4, 2, Feature.Sve2 | Feature.Pmull),
        (Zfr0, 16, 1, Feature.Sve2), (Zfr0, 20, 1, Feature.Sve | Feature.Bf16), (Zfr0, 32, 1, Feature.Sve2 | Feature.Sha3),
        (Zfr0, 40, 1, Feature.Sve2 | Feature.Sm4), (Zfr0, 44, 1, Feature.Sve | Feature.I8mm),
        (Zfr0, 52, 1, Feature.ScalableMatrices), (Zfr0, 56, 1, Feature.ScalableMatrices),
        (Dfr0, 8, 1, Feature.Pmuv3), (Dfr0, 8, 4, Feature.Pmuv3p1), (Dfr0, 8, 6, Feature.Pmuv3p5),
        (Isar0, 4, 1, Feature.Aes), (Isar0, 4, 2, Feature.Pmull), (Isar0, 8, 1, Feature.Sha1), (Isar0, 12, 1, Feature.Sha256),
        (Isar0, 12, 2, Feature.Sha512), (Isar0, 16, 1, Feature.Crc32), (Isar0, 20, 2, Feature.Lse), (Isar0, 28, 1, Feature.Rdm),
        (Isar0, 32, 1, Feature.Sha3), (Isar0, 36, 1, Feature.Sm3), (Isar0, 40, 1, Feature.Sm4), (Isar0, 44, 1, Feature.DotProd),
        (Isar0, 48, 1, Feature.Fhm), (Isar0, 52, 1, Feature.FlagM), (Isar0, 52, 2, Feature.FlagM2), (Isar0, 56, 2, Feature.TlbiRange),
        (Isar0, 60, 1, Feature.Rng),
        (Isar1, 0, 1, Feature.Dpb), (Isar1, 0, 2, Feature.Dpb2), (Isar1, 4, 3, Feature.PauthQarma5),
        (Isar1, 4, 5, Feature.PauthQarma5 | Feature.Fpac), (Isar1, 8, 3, Feature.PauthImpdef),
        (Isar1, 8, 5, Feature.PauthImpdef | Feature.Fpac),
        (Isar1, 12, 1, Feature.Jscvt), (Isar1, 16, 1, Feature.Fcma), (Isar1, 20, 1, Feature.Lrcpc),
        (Isar1, 20, 2, Feature.Lrcpc2), (Isar1, 20, 3, Feature.Lrcpc3), (Isar1, 24, 1, Feature.PauthQarma5),
        (Isar1, 28, 1, Feature.PauthImpdef),
        (Isar1, 32, 1, Feature.Frintts), (Isar1, 36, 1, Feature.Sb), (Isar1, 40, 1, Feature.Specres),
        (Isar1, 44, 1, Feature.Bf16), (Isar1, 48, 1, Feature.Dgh), (Isar1, 52, 1, Feature.I8mm),
        (Isar2, 0, 2, Feature.Wfxt), (Isar2, 8, 1, Feature.PauthQarma3), (Isar2, 12, 3, Feature.PauthQarma3),
        (Isar2, 12, 5, Feature.PauthQarma3 | Feature.Fpac),
        (Isar2, 16, 1, Feature.Mops), (Isar2, 20, 1, Feature.Hbc), (Isar2, 52, 1, Feature.Cssc),
        (Mmfr0, 20, 1, Feature.Granule16K), (Mmfr0, 60, 1, Feature.Ecv),
        (Mmfr1, 0, 2, Feature.Hafdbs), (Mmfr1, 12, 2, Feature.Hpds), (Mmfr1, 20, 2, Feature.Pan), (Mmfr1, 20, 3, Feature.Pan3),
        (Mmfr1, 36, 2, Feature.Ets),
        (Mmfr2, 4, 1, Feature.Uao), (Mmfr2, 28, 1, Feature.Ttst), (Mmfr2, 48, 1, Feature.Ttl), (Mmfr2, 52, 2, Feature.Bbm),
        (Mmfr2, 60, 1, Feature.E0pd),
    ];

    public static void Add(AddRow row)
    {
        row(3, 0, 0, 0, 0, new("MIDR_EL1", (core, _) => core.Model.Midr));
        row(3, 0, 0, 0, 5, new("MPIDR_EL1", (core, _) => core.Mpidr.Affinity | (1u << 31)));
        row(3, 0, 0, 0, 6, new("REVIDR_EL1", (core, _) => core.Model.Revision));

        // The ID space: CRm 1 to 3 AArch32, 4 to 7 AArch64; all reads, unallocated ones as zero.
        for (int crm = 1; crm < 8; crm++)
        {
            for (int op2 = 0; op2 < 8; op2++)
            {
                int key = Key(crm, op2);
                SystemRegister register = Names.TryGetValue(key, out string? name)
                    ? new(name, (core, _) => Value(core, key))
                    : new($"ID_{crm}_{op2}_EL1", (_, _) => 0);
                row(3, 0, 0, crm, op2, register);
            }
        }

        // The number of records of errors is 0.
        row(3, 0, 5, 3, 0, new("ERRIDR_EL1", (_, _) => 0) { Part = RasOf });

        row(3, 1, 0, 0, 0, new("CCSIDR_EL1", (core, s) => Selected(core, s)?.Ccsidr(core.Model.WideCacheIds) ?? 0));
        row(3, 1, 0, 0, 1, new("CLIDR_EL1", (core, _) => Levels(core.Model.Caches)));
        row(3, 1, 0, 0, 7, new("AIDR_EL1", (_, _) => 0));
        row(3, 2, 0, 0, 0, new("CSSELR_EL1", (_, s) => s->CsselrEl1, (_, s, v) => s->CsselrEl1 = v & 0xF));

        row(3, 3, 2, 4, 0, Random("RNDR"));
        row(3, 3, 2, 4, 1, Random("RNDRRS"));

        row(3, 3, 0, 0, 1, new("CTR_EL0", (core, _) => core.Model.Ctr)
        { El0Read = true, TrapEl0 = (_, s, _) => (s->SctlrEl1 & Sctlr.Uct) == 0 });

        row(3, 3, 0, 0, 7, new("DCZID_EL0", (_, s) => DczProhibited(s) ? DczidEl0 | 0x10 : DczidEl0) { El0Read = true });
    }

    /// <summary>The model if it has FEAT_RAS.</summary>
    public static object? RasOf(VcpuCore core) => core.Model.Ras != 0 ? core.Model : null;

    // A random number, and NZCV = 0000: there always is one (Arm ARM D24.2.154).
    private static SystemRegister Random(string name) => new(name, (core, s) =>
    {
        s->Nzcv = 0;
        return core.Random.Next();
    })
    { El0Read = true, Feature = Feature.Rng };

    // The cache that CSSELR_EL1 selects: bits 3:1 its level less one, bit 0 set for instructions.
    private static CpuCache? Selected(VcpuCore core, CpuState* s)
    {
        int level = (int)(s->CsselrEl1 >> 1) + 1;
        bool instructions = (s->CsselrEl1 & 1) != 0;
        return core.Model.Caches.FirstOrDefault(c => c.Level == level && instructions == (c.Kind == CacheKind.Instruction));
    }

    // CLIDR_EL1 as the TRMs have it: the types of the caches, and LoC, the last level. With two levels LoUU and LoUIS are 1. With three
    // levels they are 0, and ICB is 3.
    private static ulong Levels(IReadOnlyList<CpuCache> caches)
    {
        int last = caches.Max(c => c.Level);
        ulong types = caches.Aggregate(0ul,
            (all, c) => all | ((c.Kind switch { CacheKind.Instruction => 1ul, CacheKind.Data => 2ul, _ => 4ul }) << (3 * (c.Level - 1))));
        return types | ((ulong)last << 24) | (last < 3 ? (1ul << 21) | (1ul << 27) : 3ul << 30);
    }

    private static bool DczProhibited(CpuState* s) => Pstate.ExceptionLevel(s->Pstate) == 0 && (s->SctlrEl1 & Sctlr.Dze) == 0;

    private static int Key(int crm, int op2) => (crm << 3) | op2;

    private static ulong Value(VcpuCore core, int register)
    {
        ulong value = Common.GetValueOrDefault(register);
        foreach ((int at, int field, ulong content, Feature feature) in Fields)
        {
            if (at == register && core.Has(feature) && HasPartFor(core, feature))
            {
                value = (value & ~(0xFul << field)) | (content << field);
            }
        }

        // The system registers of the GIC, which may be missing as the timer may; the size of physical addresses.
        value |= register == Pfr0 && core.Gic != null ? 1ul << 24 : 0;
        value |= register == Mmfr0 ? core.Model.PhysicalAddressBits switch { 40 => 2ul, 44 => 4ul, 48 => 5ul, _ => 6ul } : 0;
        value = register == Mmfr0 && core.Model.HasLpa2 ? (value & ~(15ul << 20)) | (2ul << 20) | (1ul << 28) : value;
        value |= register == Mmfr2 && core.Model.IsLarge ? 1ul << 16 : 0;
        value |= register == Mmfr2 && core.Model.WideCacheIds ? 1ul << 20 : 0;
        value |= register == Mmfr2 && core.Model.HasLse2 ? 1ul << 32 : 0;
        value |= register == Mmfr1 && core.Model.HasAlternateFloat ? 1ul << 44 : 0;
        value |= register == Isar2 && core.Model.HasPreciseEstimates ? 1ul << 4 : 0;
        value |= register == Pfr0 ? (ulong)core.Model.Ras << 28 : 0;
        value |= register == Mmfr2 && core.Model.Ras != 0 ? (1ul << 12) | 1 : 0;
        value |= register == Mmfr2 && core.Model.TrapsIdRegisters ? 1ul << 36 : 0;
        value |= register == Pfr1 && core.Model.HasSsbs && !core.Has(Feature.Ssbs) ? 1ul << 4 : 0;
        if (core.Model.HasExtendedBrain)
        {
            // BF16 is 2 instead of 1.
            value += register == Isar1 ? 1ul << 44 : register == Zfr0 && core.Has(Feature.Sve) ? 1ul << 20 : 0;
        }

        return value;
    }

    // A feature of a part that this vCPU was made without.
    private static bool HasPartFor(VcpuCore core, Feature feature) => feature switch
    {
        Feature.Ecv => core.Timer != null,
        Feature.Pmuv3 or Feature.Pmuv3p1 or Feature.Pmuv3p5 => core.Pmu != null,
        _ => true,
    };
}
