using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>
/// Identification registers (Arm ARM D24.2): each field says what <see cref="CpuModel.Features"/> has and nothing more. The
/// AArch32 ones read as zero: there is no AArch32.
/// </summary>
internal static unsafe class IdentificationRegisters
{
    /// <summary>
    /// CTR_EL0. IDC = 1: no model needs data cleaned to the point of unification. DIC = 0: decoded code must be invalidated. Lines have
    /// 64 bytes. The rest is as the TRMs have it.
    /// </summary>
    public const ulong CtrEl0 = 0x9444_C004;

    /// <summary>DC ZVA zeroes 64 bytes, and is allowed.</summary>
    public const ulong DczidEl0 = 4;

    public static void Add(AddRow row)
    {
        row(3, 0, 0, 0, 0, new("MIDR_EL1", (core, _) => core.Model.Midr));
        row(3, 0, 0, 0, 5, new("MPIDR_EL1", (core, _) => core.Mpidr.Affinity | (1u << 31)));
        row(3, 0, 0, 0, 6, new("REVIDR_EL1", (_, _) => 0));

        // The ID space: CRm 1 to 3 AArch32, 4 to 7 AArch64; all reads, unallocated ones as zero.
        for (int crm = 1; crm < 8; crm++)
        {
            for (int op2 = 0; op2 < 8; op2++)
            {
                SystemRegister register = (crm, op2) switch
                {
                    (4, 0) => new("ID_AA64PFR0_EL1", (core, _) => Pfr0(core)),
                    (4, 1) => new("ID_AA64PFR1_EL1", (core, _) => core.Has(Feature.Ssbs) ? 2ul << 4 : 0),
                    (5, 0) => new("ID_AA64DFR0_EL1", (_, _) => 0x6ul | (5ul << 12) | (3ul << 20) | (1ul << 28)),
                    (6, 0) => new("ID_AA64ISAR0_EL1", (core, _) => Isar0(core)),
                    (6, 1) => new("ID_AA64ISAR1_EL1", (core, _) =>
                        (core.Has(Feature.Dpb) ? 1ul : 0) | (core.Has(Feature.Lrcpc) ? 1ul << 20 : 0)),
                    (7, 0) => new("ID_AA64MMFR0_EL1", (core, _) => Mmfr0(core)),
                    (7, 1) => new("ID_AA64MMFR1_EL1", (core, _) => core.Has(Feature.Pan) ? 2ul << 20 : 0),
                    (7, 2) => new("ID_AA64MMFR2_EL1", (core, _) =>
                        (core.Has(Feature.Uao) ? 1ul << 4 : 0) | (core.Has(Feature.E0pd) ? 1ul << 60 : 0)),
                    _ => new($"ID_{crm}_{op2}_EL1", (_, _) => 0),
                };
                row(3, 0, 0, crm, op2, register);
            }
        }

        row(3, 1, 0, 0, 0, new("CCSIDR_EL1", (core, s) => Selected(core, s)?.Ccsidr ?? 0));
        row(3, 1, 0, 0, 1, new("CLIDR_EL1", (core, _) => Levels(core.Model.Caches)));
        row(3, 1, 0, 0, 7, new("AIDR_EL1", (_, _) => 0));
        row(3, 2, 0, 0, 0, new("CSSELR_EL1", (_, s) => s->CsselrEl1, (_, s, v) => s->CsselrEl1 = v & 0xF));

        row(3, 3, 2, 4, 0, Random("RNDR"));
        row(3, 3, 2, 4, 1, Random("RNDRRS"));

        row(3, 3, 0, 0, 1, new("CTR_EL0", (_, _) => CtrEl0) { El0Read = true, TrapEl0 = (_, s, _) => (s->SctlrEl1 & Sctlr.Uct) == 0 });

        row(3, 3, 0, 0, 7, new("DCZID_EL0", (_, s) => DczProhibited(s) ? DczidEl0 | 0x10 : DczidEl0) { El0Read = true });
    }

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

    // EL0 and EL1 AArch64 only, FP and SIMD (with FP16 or without), GIC system registers, CSV2, CSV3.
    private static ulong Pfr0(VcpuCore core)
    {
        ulong fp = core.Has(Feature.Fp16) ? 1ul : 0;
        ulong csv = core.Has(Feature.Csv) ? (1ul << 56) | (1ul << 60) : 0;
        return 0x11 | (fp << 16) | (fp << 20) | (core.Gic != null ? 1ul << 24 : 0) | csv;
    }

    private static ulong Isar0(VcpuCore core)
    {
        ulong aes = core.Has(Feature.Pmull) ? 2ul : core.Has(Feature.Aes) ? 1ul : 0;
        return (aes << 4)
            | (core.Has(Feature.Sha1) ? 1ul << 8 : 0)
            | (core.Has(Feature.Sha256) ? 1ul << 12 : 0)
            | (core.Has(Feature.Crc32) ? 1ul << 16 : 0)
            | (core.Has(Feature.Lse) ? 2ul << 20 : 0)
            | (core.Has(Feature.Rdm) ? 1ul << 28 : 0)
            | (core.Has(Feature.DotProd) ? 1ul << 44 : 0)
            | (core.Has(Feature.Rng) ? 1ul << 60 : 0);
    }

    // PARange; 16-bit ASIDs; mixed endianness at EL0 and EL1; TGran64 and TGran4 are supported (0), TGran16 is on some.
    private static ulong Mmfr0(VcpuCore core) =>
        (core.Model.PhysicalAddressBits switch { 40 => 2ul, 44 => 4ul, _ => 5ul })
            | (2ul << 4) | (1ul << 8) | (core.Has(Feature.Granule16K) ? 1ul << 20 : 0);
}
