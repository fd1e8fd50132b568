using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// A CPU model, which <c>-cpu</c> chooses by name. Its ID registers report exactly its <see cref="Features"/>; further features of the real
/// CPU are left out.
/// </summary>
/// <param name="Name">The name on the command line.</param>
/// <param name="Midr">The value of MIDR_EL1.</param>
/// <param name="PhysicalAddressBits">40, 44 or 48.</param>
/// <param name="Caches">The caches, ordered by level.</param>
public sealed record CpuModel(string Name, uint Midr, int PhysicalAddressBits, Feature Features, IReadOnlyList<CpuCache> Caches)
{
    private const Feature Crypto = Feature.Aes | Feature.Pmull | Feature.Sha1 | Feature.Sha256;

    private const Feature Armv82 = Feature.Crc32 | Crypto | Feature.Lse | Feature.Rdm | Feature.Lrcpc | Feature.DotProd
        | Feature.Fp16 | Feature.Pan | Feature.Uao | Feature.Dpb | Feature.Ssbs | Feature.Csv | Feature.Granule16K;

    // What `max` has beyond Neoverse N1.
    private const Feature Max = Armv82 | Feature.E0pd | Feature.Rng | Feature.FlagM | Feature.FlagM2 | Feature.Dit | Feature.Sb
        | Feature.Specres | Feature.Dgh | Feature.Wfxt | Feature.Cssc | Feature.Hbc | Feature.Lrcpc2 | Feature.Frintts | Feature.Jscvt
        | Feature.Ecv | Feature.Fhm | Feature.Fcma | Feature.Bf16 | Feature.I8mm | Feature.Sha512 | Feature.Sha3 | Feature.Sm3
        | Feature.Sm4 | Feature.Ttl | Feature.Ets | Feature.Mops
        | Feature.Pauth | Feature.PauthImpdef | Feature.Hpds | Feature.Hafdbs | Feature.Pan3 | Feature.Ttst | Feature.Bbm
        | Feature.Bti;

    private const Feature AllPmu = Feature.Pmuv3 | Feature.Pmuv3p1 | Feature.Pmuv3p5;

    /// <summary>All models. <c>host</c> is the one with the most features.</summary>
    public static IReadOnlyList<CpuModel> All { get; } =
    [
        new("cortex-a57", 0x411F_D070, 44, Feature.Crc32 | Crypto | Feature.Pmuv3, CpuCache.CortexA57) { PmuId = 0x4101 },
        new("cortex-a72", 0x410F_D083, 44, Feature.Crc32 | Crypto | Feature.Pmuv3, CpuCache.CortexA72) { PmuId = 0x4102 },
        new("neoverse-n1", 0x414F_D0C1, 48, Armv82 | Feature.Pmuv3 | Feature.Pmuv3p1, CpuCache.NeoverseN1) { PmuId = 0x410C },
        new("max", 0x000F_0510, 48, Max | AllPmu, CpuCache.NeoverseN1) { PmuId = 0x4101 },
        new("host", 0x000F_0510, 48, Max | AllPmu, CpuCache.NeoverseN1) { PmuId = 0x4101 },
    ];

    /// <summary>PMCR_EL0.IMP and IDCODE, bits 31:16 of the register: who made the performance monitors, and which they are.</summary>
    public uint PmuId { get; init; }

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

    /// <summary>The model with the performance monitors of another one, or without any.</summary>
    public CpuModel WithPmuOf(CpuModel? other) =>
        this with { Features = (Features & ~AllPmu) | ((other?.Features ?? Feature.None) & AllPmu) };

    /// <summary>The model of a name, or null.</summary>
    public static CpuModel? Find(string name) => All.FirstOrDefault(m => m.Name == name);
}
