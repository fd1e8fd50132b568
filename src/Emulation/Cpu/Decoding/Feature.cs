namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>The architectural features beyond base Armv8.0-A. An encoding requires one; a CPU model has a set of them.</summary>
[Flags]
public enum Feature
{
    None = 0,

    /// <summary>FEAT_CRC32.</summary>
    Crc32 = 1 << 0,

    /// <summary>FEAT_LSE: atomic memory operations.</summary>
    Lse = 1 << 1,

    /// <summary>FEAT_RDM: SQRDMLAH and SQRDMLSH.</summary>
    Rdm = 1 << 2,

    /// <summary>FEAT_LRCPC: LDAPR.</summary>
    Lrcpc = 1 << 3,

    /// <summary>FEAT_DotProd.</summary>
    DotProd = 1 << 4,

    /// <summary>FEAT_FP16: half-precision arithmetic.</summary>
    Fp16 = 1 << 5,

    /// <summary>FEAT_AES.</summary>
    Aes = 1 << 6,

    /// <summary>FEAT_PMULL: 64-bit polynomial multiply.</summary>
    Pmull = 1 << 7,

    /// <summary>FEAT_SHA1.</summary>
    Sha1 = 1 << 8,

    /// <summary>FEAT_SHA256.</summary>
    Sha256 = 1 << 9,

    /// <summary>FEAT_PAN.</summary>
    Pan = 1 << 10,

    /// <summary>FEAT_UAO.</summary>
    Uao = 1 << 11,

    /// <summary>FEAT_DPB: DC CVAP.</summary>
    Dpb = 1 << 12,

    /// <summary>FEAT_SSBS2: MRS/MSR SSBS.</summary>
    Ssbs = 1 << 13,

    /// <summary>FEAT_E0PD.</summary>
    E0pd = 1 << 14,

    /// <summary>FEAT_CSV2 and FEAT_CSV3.</summary>
    Csv = 1 << 15,

    /// <summary>FEAT_TGran16K: translation granules of 16 KiB.</summary>
    Granule16K = 1 << 16,

    /// <summary>FEAT_RNG: RNDR and RNDRRS.</summary>
    Rng = 1 << 17,
}
