using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// A CPU model, which <c>-cpu</c> chooses by name. Its ID registers report exactly its <see cref="Features"/>; further features of the real
/// CPU are left out.
/// </summary>
/// <param name="Name">The name on the command line.</param>
/// <param name="Midr">The value of MIDR_EL1.</param>
/// <param name="PhysicalAddressBits">40, 44, 48 or 52.</param>
/// <param name="Caches">The caches, ordered by level.</param>
public sealed record CpuModel(string Name, uint Midr, int PhysicalAddressBits, Feature Features, IReadOnlyList<CpuCache> Caches)
{
    private const Feature Crypto = Feature.Aes | Feature.Pmull | Feature.Sha1 | Feature.Sha256;

    private const Feature Armv82 = Feature.Crc32 | Crypto | Feature.Lse | Feature.Rdm | Feature.Lrcpc | Feature.DotProd
        | Feature.Fp16 | Feature.Pan | Feature.Uao | Feature.Dpb | Feature.Ssbs | Feature.Csv | Feature.Granule16K;

    private const Feature Armv80 = Feature.Crc32 | Crypto;

    // What the MMUs of CPUs since Cortex-A55 keep by themselves.
    private const Feature Tables = Feature.Hpds | Feature.Hafdbs;

    private const Feature A55 = (Armv82 & ~(Feature.Ssbs | Feature.Csv)) | Tables;

    private const Feature V1 = Armv82 | Tables | Feature.Dpb2 | Feature.Rng | Feature.FlagM | Feature.Dit | Feature.Dgh | Feature.Lrcpc2
        | Feature.Jscvt | Feature.Fcma | Feature.Bf16 | Feature.I8mm | Feature.Fhm | Feature.Sha512 | Feature.Sha3 | Feature.Sm3
        | Feature.Sm4 | Feature.Bbm | Feature.Pauth | Feature.PauthImpdef;

    private const Feature A710 = (V1 & ~(Feature.Rng | Feature.Dgh)) | Feature.FlagM2 | Feature.Sb | Feature.Specres | Feature.Frintts
        | Feature.Ttl | Feature.Ttst | Feature.E0pd | Feature.Fpac | Feature.Bti | Feature.Mte
        | Feature.TlbiRange;

    // What `max` has beyond Neoverse N1.
    private const Feature Max = Armv82 | Feature.Dpb2 | Feature.Fpac | Feature.E0pd | Feature.Rng | Feature.FlagM | Feature.FlagM2
        | Feature.Dit | Feature.Sb | Feature.Specres | Feature.Dgh | Feature.Wfxt | Feature.Cssc | Feature.Hbc
        | Feature.Lrcpc2 | Feature.Lrcpc3 | Feature.Frintts | Feature.Jscvt | Feature.Ecv | Feature.Fhm | Feature.Fcma | Feature.Bf16
        | Feature.I8mm | Feature.Sha512 | Feature.Sha3 | Feature.Sm3 | Feature.Sm4 | Feature.Ttl | Feature.Ets | Feature.Mops
        | Feature.Pauth | Feature.PauthImpdef | Feature.Hpds | Feature.Hafdbs | Feature.Pan3 | Feature.Ttst | Feature.Bbm | Feature.Bti
        | Feature.Mte | Feature.TlbiRange;

    private const Feature Pmu81 = Feature.Pmuv3 | Feature.Pmuv3p1;

    private const Feature AllPmu = Feature.Pmuv3 | Feature.Pmuv3p1 | Feature.Pmuv3p5;

    // CTR_EL0. IDC = 1: no model needs data cleaned to the point of unification. DIC = 0: decoded code must be invalidated. Lines have 64
    // bytes. The rest is as the TRMs have it: the policy of the instruction cache, the lines of tags.
    private const ulong PhysicallyIndexed = 0x9444_C004;
    private const ulong VirtuallyIndexed = 0x9444_8004;
    private const ulong WithTagLines = 0x4_9444_C004;

    private const Feature AllSve = Feature.Sve | Feature.Sve2 | Feature.ScalableMatrices;

    // Vector lengths: bit n for (n + 1) × 128 bits.
    private const uint AllLengths = 0xFFFF;
    private const uint LengthsOfV1 = 0b11;
    private const uint LengthsOfN2 = 0b1;

    /// <summary>All models. <c>host</c> is the one with the most features.</summary>
    public static IReadOnlyList<CpuModel> All { get; } =
    [
        new("cortex-a53", 0x410F_D034, 40, Armv80 | Feature.Pmuv3, CpuCache.CortexA53)
        {
            PmuId = 0x4103, Ctr = VirtuallyIndexed, Revision = 0x100,
        },
        new("cortex-a55", 0x412F_D050, 40, A55 | Pmu81, CpuCache.CortexA55)
        {
            PmuId = 0x410B, Ctr = VirtuallyIndexed, Ras = 1, HasSsbs = true,
        },
        new("cortex-a57", 0x411F_D070, 44, Armv80 | Feature.Pmuv3, CpuCache.CortexA57) { PmuId = 0x4101 },
        new("cortex-a72", 0x410F_D083, 44, Armv80 | Feature.Pmuv3, CpuCache.CortexA72) { PmuId = 0x4102 },
        new("cortex-a76", 0x414F_D0B1, 40, A55 | Feature.Csv | Pmu81, CpuCache.CortexA76)
        {
            PmuId = 0x410B, Ras = 1, HasSsbs = true,
        },
        new("cortex-a710", 0x412F_D471, 40, A710 | AllPmu | Feature.Sve | Feature.Sve2, CpuCache.CortexA76)
        {
            Ctr = WithTagLines, WideCacheIds = true, HasLse2 = true, SupportedLengths = LengthsOfN2, Ras = 2, TrapsIdRegisters = true,
        },
        new("neoverse-n1", 0x414F_D0C1, 48, Armv82 | Tables | Pmu81, CpuCache.NeoverseN1) { PmuId = 0x410C, Ras = 1 },
        new("neoverse-n2", 0x410F_D493, 48, A710 | Feature.Rng | Feature.Dgh | AllPmu | Feature.Sve | Feature.Sve2, CpuCache.CortexA76)
        {
            Ctr = WithTagLines, WideCacheIds = true, HasLse2 = true, SupportedLengths = LengthsOfN2, Ras = 2, TrapsIdRegisters = true,
        },
        new("neoverse-v1", 0x411F_D402, 48, V1 | Pmu81 | Feature.Sve, CpuCache.NeoverseN1)
        {
            PmuId = 0x4121, WideCacheIds = true, HasLse2 = true, SupportedLengths = LengthsOfV1, Ras = 2, TrapsIdRegisters = true,
        },
        new("max", 0x000F_0510, 52, Max | AllPmu | AllSve, CpuCache.NeoverseN1)
        {
            PmuId = 0x4101, HasLpa2 = true, HasLse2 = true, SupportedLengths = AllLengths,
            HasAlternateFloat = true, HasPreciseEstimates = true, HasExtendedBrain = true, Ras = 2, TrapsIdRegisters = true,
        },
        new("host", 0x000F_0510, 52, Max | AllPmu | AllSve, CpuCache.NeoverseN1)
        {
            PmuId = 0x4101, HasLpa2 = true, HasLse2 = true, SupportedLengths = AllLengths,
            HasAlternateFloat = true, HasPreciseEstimates = true, HasExtendedBrain = true, Ras = 2, TrapsIdRegisters = true,
        },
    ];

    /// <summary>PMCR_EL0.IMP and IDCODE, bits 31:16 of the register: who made the performance monitors, and which they are.</summary>
    public uint PmuId { get; init; }

    /// <summary>CTR_EL0.</summary>
    public ulong Ctr { get; private init; } = PhysicallyIndexed;

    /// <summary>REVIDR_EL1.</summary>
    public uint Revision { get; private init; }

    /// <summary>FEAT_LVA and FEAT_LPA: virtual and physical addresses of 52 bits, with granules of 64 KiB.</summary>
    public bool IsLarge => PhysicalAddressBits == 52;

    /// <summary>FEAT_LPA2: the same with the other granules (<c>lpa2=</c>).</summary>
    public bool HasLpa2 { get; init; }

    /// <summary>
    /// FEAT_LSE2: an aligned pair of registers is loaded or stored at once, and accesses that order others, exclusives and atomics need not
    /// be aligned within 16 bytes.
    /// </summary>
    public bool HasLse2 { get; init; }

    /// <summary>FEAT_AFP: FPCR.AH, FIZ and NEP.</summary>
    public bool HasAlternateFloat { get; private init; }

    /// <summary>FEAT_RPRES: with FPCR.AH estimates of single precision have 12 bits.</summary>
    public bool HasPreciseEstimates { get; private init; }

    /// <summary>FEAT_EBF16: FPCR.EBF.</summary>
    public bool HasExtendedBrain { get; private init; }

    /// <summary>
    /// FEAT_RAS, without a record of errors, and what Armv8.2 has beside it, FEAT_IESB and FEAT_TTCNP: 2 for FEAT_RASv1p1, 0 for none.
    /// </summary>
    public uint Ras { get; private init; }

    /// <summary>FEAT_SSBS: PSTATE.SSBS. <see cref="Feature.Ssbs"/> has MRS and MSR of it, too.</summary>
    public bool HasSsbs { get => field || Has(Feature.Ssbs); private init; }

    /// <summary>FEAT_IDST: reading an identification register at EL0 is trapped as a system register, not UNDEFINED.</summary>
    public bool TrapsIdRegisters { get; private init; }

    /// <summary>FEAT_CCIDX: the wide form of CCSIDR_EL1.</summary>
    public bool WideCacheIds { get; private init; }

    /// <summary>The lengths of SVE's vectors that the CPU can have, bit n for (n + 1) × 128 bits; 0 where it has no SVE.</summary>
    public uint SupportedLengths
    {
        get;
        private init
        {
            field = value;
            VectorLengths = value;
        }
    }

    /// <summary>The same of those that it has.</summary>
    public uint VectorLengths { get; private init; }

    // What of SVE the model has when it is on.
    private Feature OwnSve { get; } = Features & AllSve;

    /// <summary>The properties that stand for the lengths of vectors: <c>sve128</c>. None without SVE.</summary>
    public IEnumerable<string> NamesOfVectorLengths =>
        Enumerable.Range(0, Has(Feature.Sve) ? 16 : 0).Where(n => (VectorLengths & (1u << n)) != 0).Select(n => $"sve{128 * (n + 1)}");

    /// <summary>What the model has beyond its <see cref="Features"/> and that a guest sees.</summary>
    public IEnumerable<string> NamesOfOthers =>
        new[]
        {
            (HasLpa2, "Lpa2"), (HasLse2, "Lse2"), (WideCacheIds, "Ccidx"), (HasAlternateFloat, "Afp"), (HasPreciseEstimates, "Rpres"),
            (HasExtendedBrain, "Ebf16"), (HasSsbs && !Has(Feature.Ssbs), "SsbsBit"), (Ras != 0, "Ras"), (TrapsIdRegisters, "Idst"),
        }.Where(o => o.Item1).Select(o => o.Item2);

    /// <summary>Whether the model has all of the features.</summary>
    public bool Has(Feature features) => (Features & features) == features;

    /// <summary>
    /// The model with another algorithm of pointer authentication: <see cref="Feature.PauthImpdef"/>, <see cref="Feature.PauthQarma5"/> or
    /// <see cref="Feature.PauthQarma3"/>. <see cref="Feature.None"/> takes pointer authentication away.
    /// </summary>
    public CpuModel WithPointerAuthentication(Feature algorithm)
    {
        const Feature all = Feature.Pauth | Feature.PauthImpdef | Feature.PauthQarma5 | Feature.PauthQarma3;
        return this with { Features = (Features & ~all) | (algorithm == Feature.None ? Feature.None : Feature.Pauth | algorithm) };
    }

    /// <summary>The model in a machine whose RAM has tags. It must have <see cref="Feature.Mte"/>.</summary>
    public CpuModel WithMemoryTags() => this with { Features = Features | Feature.Mte3 };

    /// <summary>The model with SVE of some vector lengths (<see cref="VectorLengths"/>); 0 takes SVE away.</summary>
    public CpuModel WithScalable(uint lengths) => this with
    {
        Features = (Features & ~AllSve) | (lengths == 0 ? Feature.None : OwnSve),
        VectorLengths = lengths,
    };

    /// <summary>The model with the performance monitors of another one, or without any.</summary>
    public CpuModel WithPmuOf(CpuModel? other) =>
        this with { Features = (Features & ~AllPmu) | ((other?.Features ?? Feature.None) & AllPmu) };

    /// <summary>The model of a name, or null.</summary>
    public static CpuModel? Find(string name) => All.FirstOrDefault(m => m.Name == name);
}
