using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// A named CPU model: what <c>-cpu</c> chooses. Its ID registers promise exactly its <see cref="Features"/>; what the real CPU has
/// beyond that is left out.
/// </summary>
/// <param name="Name">As on the command line.</param>
/// <param name="Midr">MIDR_EL1.</param>
/// <param name="PhysicalAddressBits">40, 44 or 48.</param>
/// <param name="Caches">By level.</param>
public sealed record CpuModel(string Name, uint Midr, int PhysicalAddressBits, Feature Features, IReadOnlyList<CpuCache> Caches)
{
    private const Feature Crypto = Feature.Aes | Feature.Pmull | Feature.Sha1 | Feature.Sha256;

    private const Feature Armv82 = Feature.Crc32 | Crypto | Feature.Lse | Feature.Rdm | Feature.Lrcpc | Feature.DotProd
        | Feature.Fp16 | Feature.Pan | Feature.Uao | Feature.Dpb | Feature.Ssbs | Feature.Csv | Feature.Granule16K;

    /// <summary>All models, by name; <c>host</c> is the best there is.</summary>
    public static IReadOnlyList<CpuModel> All { get; } =
    [
        new("cortex-a57", 0x411F_D070, 44, Feature.Crc32 | Crypto, CpuCache.CortexA57),
        new("cortex-a72", 0x410F_D083, 44, Feature.Crc32 | Crypto, CpuCache.CortexA72),
        new("neoverse-n1", 0x414F_D0C1, 48, Armv82, CpuCache.NeoverseN1),
        new("max", 0x000F_0510, 48, Armv82 | Feature.E0pd | Feature.Rng, CpuCache.NeoverseN1),
        new("host", 0x000F_0510, 48, Armv82 | Feature.E0pd | Feature.Rng, CpuCache.NeoverseN1),
    ];

    /// <summary>Whether the model has all of the features.</summary>
    public bool Has(Feature features) => (Features & features) == features;

    /// <summary>The model of a name, or null.</summary>
    public static CpuModel? Find(string name) => All.FirstOrDefault(m => m.Name == name);
}
