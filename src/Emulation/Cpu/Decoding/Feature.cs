namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>The architectural features beyond base Armv8.0-A. An encoding requires one; a CPU model has a set of them.</summary>
[Flags]
public enum Feature : ulong
{
    None = 0,

    /// <summary>FEAT_CRC32.</summary>
    Crc32 = 1ul << 0,

    /// <summary>FEAT_LSE: atomic memory operations.</summary>
    Lse = 1ul << 1,

    /// <summary>FEAT_RDM: SQRDMLAH and SQRDMLSH.</summary>
    Rdm = 1ul << 2,

    /// <summary>FEAT_LRCPC: LDAPR.</summary>
    Lrcpc = 1ul << 3,

    /// <summary>FEAT_DotProd.</summary>
    DotProd = 1ul << 4,

    /// <summary>FEAT_FP16: half-precision arithmetic.</summary>
    Fp16 = 1ul << 5,

    /// <summary>FEAT_AES.</summary>
    Aes = 1ul << 6,

    /// <summary>FEAT_PMULL: 64-bit polynomial multiply.</summary>
    Pmull = 1ul << 7,

    /// <summary>FEAT_SHA1.</summary>
    Sha1 = 1ul << 8,

    /// <summary>FEAT_SHA256.</summary>
    Sha256 = 1ul << 9,

    /// <summary>FEAT_PAN.</summary>
    Pan = 1ul << 10,

    /// <summary>FEAT_UAO.</summary>
    Uao = 1ul << 11,

    /// <summary>FEAT_DPB: DC CVAP.</summary>
    Dpb = 1ul << 12,

    /// <summary>FEAT_SSBS2: MRS/MSR SSBS.</summary>
    Ssbs = 1ul << 13,

    /// <summary>FEAT_E0PD.</summary>
    E0pd = 1ul << 14,

    /// <summary>FEAT_CSV2 and FEAT_CSV3.</summary>
    Csv = 1ul << 15,

    /// <summary>FEAT_TGran16K: translation granules of 16 KiB.</summary>
    Granule16K = 1ul << 16,

    /// <summary>FEAT_RNG: RNDR and RNDRRS.</summary>
    Rng = 1ul << 17,

    /// <summary>FEAT_FlagM: CFINV, RMIF, SETF8 and SETF16.</summary>
    FlagM = 1ul << 18,

    /// <summary>FEAT_FlagM2: AXFLAG and XAFLAG.</summary>
    FlagM2 = 1ul << 19,

    /// <summary>FEAT_DIT: PSTATE.DIT.</summary>
    Dit = 1ul << 20,

    /// <summary>FEAT_SB: the speculation barrier.</summary>
    Sb = 1ul << 21,

    /// <summary>FEAT_SPECRES: CFP, DVP and CPP RCTX.</summary>
    Specres = 1ul << 22,

    /// <summary>FEAT_DGH: the data gathering hint.</summary>
    Dgh = 1ul << 23,

    /// <summary>FEAT_WFxT: WFET and WFIT.</summary>
    Wfxt = 1ul << 24,

    /// <summary>FEAT_CSSC: ABS, CNT, CTZ, SMAX, SMIN, UMAX and UMIN of general registers.</summary>
    Cssc = 1ul << 25,

    /// <summary>FEAT_HBC: BC.cond.</summary>
    Hbc = 1ul << 26,

    /// <summary>FEAT_LRCPC2: LDAPUR and STLUR.</summary>
    Lrcpc2 = 1ul << 27,

    /// <summary>FEAT_FRINTTS: FRINT32X, FRINT32Z, FRINT64X and FRINT64Z.</summary>
    Frintts = 1ul << 28,

    /// <summary>FEAT_JSCVT: FJCVTZS.</summary>
    Jscvt = 1ul << 29,

    /// <summary>FEAT_ECV without its part for EL2: CNTPCTSS_EL0 and CNTVCTSS_EL0.</summary>
    Ecv = 1ul << 30,

    /// <summary>FEAT_FHM: FMLAL and FMLSL.</summary>
    Fhm = 1ul << 31,

    /// <summary>FEAT_FCMA: FCADD and FCMLA.</summary>
    Fcma = 1ul << 32,

    /// <summary>FEAT_BF16.</summary>
    Bf16 = 1ul << 33,

    /// <summary>FEAT_I8MM.</summary>
    I8mm = 1ul << 34,

    /// <summary>FEAT_SHA512.</summary>
    Sha512 = 1ul << 35,

    /// <summary>FEAT_SHA3.</summary>
    Sha3 = 1ul << 36,

    /// <summary>FEAT_SM3.</summary>
    Sm3 = 1ul << 37,

    /// <summary>FEAT_SM4.</summary>
    Sm4 = 1ul << 38,

    /// <summary>FEAT_TTL: TLBI takes a hint of the level. It is ignored.</summary>
    Ttl = 1ul << 39,

    /// <summary>FEAT_ETS2: the order of translation faults. They are always taken in it.</summary>
    Ets = 1ul << 40,

    /// <summary>FEAT_MOPS: memory copies and sets.</summary>
    Mops = 1ul << 41,

    /// <summary>FEAT_PAuth2, by one of the algorithms that follow.</summary>
    Pauth = 1ul << 42,

    /// <summary>FEAT_PACIMP: see <see cref="PointerAuthentication.PointerHash"/>.</summary>
    PauthImpdef = 1ul << 43,

    /// <summary>FEAT_DPB2: DC CVADP.</summary>
    Dpb2 = 1ul << 54,

    /// <summary>
    /// FEAT_FPACCOMBINE: a wrong code of a pointer is an exception at once. Without it the pointer becomes one that faults.
    /// </summary>
    Fpac = 1ul << 55,

    /// <summary>FEAT_TLBIOS and FEAT_TLBIRANGE.</summary>
    TlbiRange = 1ul << 56,

    /// <summary>FEAT_MTE2 and FEAT_MTE3: tags in memory, and checks of them.</summary>
    Mte3 = 1ul << 53,

    /// <summary>FEAT_MTE: instructions for tags. Memory has none.</summary>
    Mte = 1ul << 52,

    /// <summary>FEAT_LRCPC3: ordered accesses with write-back, of pairs and of V registers.</summary>
    Lrcpc3 = 1ul << 57,

    /// <summary>FEAT_F32MM and FEAT_F64MM: matrices of single and double precision, in SVE.</summary>
    ScalableMatrices = 1ul << 58,

    /// <summary>FEAT_SVE2 with FEAT_SVE_BitPerm. Its instructions for AES, SHA3 and SM4 need those of Advanced SIMD, too.</summary>
    Sve2 = 1ul << 59,

    /// <summary>FEAT_SVE. Its instructions for BFloat16 and matrices of bytes need those of Advanced SIMD, too.</summary>
    Sve = 1ul << 60,

    /// <summary>FEAT_PMUv3: performance monitors.</summary>
    Pmuv3 = 1ul << 61,

    /// <summary>FEAT_PMUv3p1: event numbers of 16 bits.</summary>
    Pmuv3p1 = 1ul << 62,

    /// <summary>FEAT_PMUv3p4 and FEAT_PMUv3p5: event counters of 64 bits.</summary>
    Pmuv3p5 = 1ul << 63,

    /// <summary>FEAT_PACQARMA5.</summary>
    PauthQarma5 = 1ul << 44,

    /// <summary>FEAT_PACQARMA3.</summary>
    PauthQarma3 = 1ul << 45,

    /// <summary>FEAT_HPDS2: the hierarchical permissions of translation tables can be taken away.</summary>
    Hpds = 1ul << 46,

    /// <summary>FEAT_HAFDBS: access flags and dirty state of translation tables, kept by the CPU.</summary>
    Hafdbs = 1ul << 47,

    /// <summary>FEAT_PAN3: SCTLR_EL1.EPAN.</summary>
    Pan3 = 1ul << 48,

    /// <summary>FEAT_TTST: small translation tables.</summary>
    Ttst = 1ul << 49,

    /// <summary>FEAT_BBM, level 2: the size of a mapping may be changed without an invalid one in between.</summary>
    Bbm = 1ul << 50,

    /// <summary>FEAT_BTI: branch targets in guarded pages.</summary>
    Bti = 1ul << 51,
}
