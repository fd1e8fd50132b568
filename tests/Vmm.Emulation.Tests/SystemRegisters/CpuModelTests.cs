using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.SystemRegisters;

/// <summary>
/// What the ID registers of a model promise, it executes; what they do not promise is UNDEFINED on it. The fields and their values are
/// those of Arm ARM D24.2, whether or not any model has them.
/// </summary>
public sealed unsafe class CpuModelTests
{
    private const string Pfr0 = "ID_AA64PFR0_EL1";
    private const string Pfr1 = "ID_AA64PFR1_EL1";
    private const string Dfr0 = "ID_AA64DFR0_EL1";
    private const string Isar0 = "ID_AA64ISAR0_EL1";
    private const string Isar1 = "ID_AA64ISAR1_EL1";
    private const string Isar2 = "ID_AA64ISAR2_EL1";
    private const string Mmfr0 = "ID_AA64MMFR0_EL1";
    private const string Mmfr1 = "ID_AA64MMFR1_EL1";
    private const string Mmfr2 = "ID_AA64MMFR2_EL1";
    private const uint Undefined = 1u << 25;

    // MRS X5 of each.
    private static readonly Dictionary<string, uint> Reads = new()
    {
        [Pfr0] = 0xD538_0405, [Pfr1] = 0xD538_0425, [Dfr0] = 0xD538_0505, [Isar0] = 0xD538_0605, [Isar1] = 0xD538_0625,
        [Isar2] = 0xD538_0645,
        [Mmfr0] = 0xD538_0705, [Mmfr1] = 0xD538_0725, [Mmfr2] = 0xD538_0745,
    };

    // Register, lowest bit of the field, least value that promises the instructions, instructions.
    private static readonly (string Register, int Field, int Least, string What, uint[] Words)[] Promises =
    [
        (Pfr0, 16, 0, "FP", [0x1E62_2820, 0x1E22_2820]),
        (Pfr0, 16, 1, "FP16 scalar", [0x1EE2_2820, 0x1EE0_4020]),
        (Pfr0, 20, 0, "AdvSIMD", [0x4E22_8420, 0x4E22_D420]),
        (Pfr0, 20, 1, "FP16 vector", [0x4E42_1420, 0x0E42_1420]),
        (Pfr0, 28, 1, "RAS", [0xD538_5305]),
        (Pfr0, 32, 1, "SVE", [0x04BF_5020, 0x2538_C020]),
        (Pfr0, 44, 1, "AMU", [0xD53B_D205]),
        (Pfr0, 48, 1, "DIT", [0xD53B_42A5, 0xD503_415F]),
        (Pfr1, 4, 2, "MRS and MSR of SSBS", [0xD53B_42C5, 0xD503_413F]),
        (Pfr1, 8, 1, "MTE", [0x9180_0420, 0x9AC0_1020, 0xD960_0020, 0xD920_0820, 0xD53B_42E5, 0xD50B_7460]),
        (Pfr1, 8, 2, "MTE2", [0xD9E0_0020, 0xD538_10C5, 0xD538_5605]),
        (Pfr1, 24, 1, "SME", [0xD53B_4245]),
        (Dfr0, 8, 1, "PMU", [0xD53B_9C05, 0xD53B_9D05]),
        (Dfr0, 32, 1, "SPE", [0xD538_9905]),
        (Isar0, 4, 1, "AES", [0x4E28_4820, 0x4E28_5820, 0x4E28_6820, 0x4E28_7820]),
        (Isar0, 4, 2, "PMULL", [0x0EE2_E020, 0x4EE2_E020]),
        (Isar0, 8, 1, "SHA1", [0x5E02_0020, 0x5E28_0820, 0x5E28_1820]),
        (Isar0, 12, 1, "SHA256", [0x5E02_4020, 0x5E28_2820]),
        (Isar0, 12, 2, "SHA512", [0xCE62_8020, 0xCEC0_8020]),
        (Isar0, 16, 1, "CRC32", [0x1AC2_4020, 0x9AC2_5C20]),
        (Isar0, 20, 2, "LSE", [0xF822_0020, 0xB822_8020, 0xC8A2_7C20, 0x4822_7C20, 0x08A2_7C20]),
        (Isar0, 28, 1, "RDM", [0x2E82_8420, 0x7E82_8C20, 0x2F82_D020]),
        (Isar0, 32, 1, "SHA3", [0xCE02_0C20, 0xCE62_8C20]),
        (Isar0, 36, 1, "SM3", [0xCE62_C020]),
        (Isar0, 40, 1, "SM4", [0xCEC0_8420]),
        (Isar0, 44, 1, "DotProd", [0x2E82_9420, 0x4E82_9420, 0x2F82_E020]),
        (Isar0, 48, 1, "FHM", [0x0E22_EC20, 0x2E22_CC20]),
        (Isar0, 52, 1, "FlagM", [0xD500_401F, 0xBA00_0420]),
        (Isar0, 52, 2, "FlagM2", [0xD500_403F, 0xD500_405F]),
        (Isar0, 56, 1, "TLBIOS", [0xD508_811F]),
        (Isar0, 56, 2, "TLBIRANGE", [0xD508_8625]),
        (Isar0, 60, 1, "RNG", [0xD53B_2405]),
        (Isar1, 0, 1, "DC CVAP", [0xD50B_7C20]),
        (Isar1, 0, 2, "DC CVADP", [0xD50B_7D20]),
        (Isar1, 8, 1, "PAuth by the algorithm of ours", [0xDAC1_0020, 0xDAC1_43E0]),
        (Isar1, 12, 1, "JSCVT", [0x1E7E_0020]),
        (Isar1, 16, 1, "FCMA", [0x2E82_E420, 0x2E82_C420]),
        (Isar1, 20, 1, "LRCPC", [0xF8BF_C020, 0x38BF_C020]),
        (Isar1, 20, 2, "LRCPC2", [0x9940_0020, 0xD940_0020]),
        (Isar1, 20, 3, "LRCPC3", [0x99C0_0820, 0xD980_0820, 0x9944_1823, 0xD904_0823, 0x1D40_0823, 0x0D41_8423]),
        (Isar1, 32, 1, "FRINTTS", [0x1E28_4020, 0x1E68_C020]),
        (Isar1, 36, 1, "SB", [0xD503_30FF]),
        (Isar1, 40, 1, "SPECRES", [0xD50B_7380]),
        (Isar1, 44, 1, "BF16", [0x2E42_FC20, 0x1E63_4020]),
        (Isar1, 52, 1, "I8MM", [0x4E82_A420]),
        (Isar2, 0, 2, "WFxT", [0xD503_1000, 0xD503_1021]),
        (Isar2, 16, 1, "MOPS", [0x1901_0440, 0x19C1_0440]),
        (Isar2, 20, 1, "BC.cond", [0x5400_0030]),
        (Isar2, 52, 1, "CSSC", [0xDAC0_2020, 0x91C0_0420, 0x1AC2_6C20]),
        (Mmfr0, 60, 1, "ECV", [0xD53B_E0C5]),
        (Mmfr1, 16, 1, "LOR", [0xD538_A4E5]),
        (Mmfr1, 20, 1, "PAN", [0xD500_419F, 0xD538_4265]),
        (Mmfr1, 20, 2, "AT S1E1RP", [0xD508_7900, 0xD508_7920]),
        (Mmfr2, 4, 1, "UAO", [0xD500_417F, 0xD538_4285]),
    ];

    public static TheoryData<string> Models { get; } = [.. CpuModel.All.Select(m => m.Name)];

    private static ulong Read(BareCore bare, string register)
    {
        Assert.False(IsUndefined(bare, Reads[register]));
        return bare.State->X[5];
    }

    private static bool IsUndefined(BareCore bare, uint word)
    {
        bare.Core.Reset(BareCore.Code, BareCore.Data);
        CpuState* s = bare.State;
        s->VbarEl1 = BareCore.Vectors;
        s->CpacrEl1 = 3 << 20;
        bare.Core.UpdateFpEnabled();
        s->X[0] = s->X[1] = BareCore.Data;
        bare.Write(BareCore.Code, word, 0x1400_0000);
        bare.Core.Code.InvalidateAll();
        bare.Core.Run(1);
        return s->ElrEl1 == BareCore.Code && s->EsrEl1 == Undefined;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Model_executes_what_its_ID_registers_promise_and_nothing_else(string model)
    {
        using var bare = new BareCore(model);
        var wrong = new List<string>();
        foreach ((string register, int field, int least, string what, uint[] words) in Promises)
        {
            // PFR0.FP and AdvSIMD are signed: 15 is none.
            int value = (int)(Read(bare, register) >> field) & 15;
            bool promised = register == Pfr0 && field < 24 && value == 15 ? false : value >= least;
            wrong.AddRange(words.Where(w => IsUndefined(bare, w) == promised)
                .Select(w => $"{what}: {w:x8} is {(promised ? "promised but UNDEFINED" : "there but not promised")}"));
        }

        Assert.Empty(wrong);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Breakpoints_and_watchpoints_are_as_many_as_promised(string model)
    {
        using var bare = new BareCore(model);
        ulong dfr0 = Read(bare, Dfr0);
        int breakpoints = (int)(dfr0 >> 12 & 15) + 1;
        int watchpoints = (int)(dfr0 >> 20 & 15) + 1;
        for (uint n = 0; n < 16; n++)
        {
            Assert.Equal(n >= breakpoints, IsUndefined(bare, 0xD530_0085 | (n << 8)));
            Assert.Equal(n >= breakpoints, IsUndefined(bare, 0xD510_00A5 | (n << 8)));
            Assert.Equal(n >= watchpoints, IsUndefined(bare, 0xD530_00C5 | (n << 8)));
            Assert.Equal(n >= watchpoints, IsUndefined(bare, 0xD510_00E5 | (n << 8)));
        }
    }

    // The values are those of the real CPUs: Cortex-A57 r1p0 and A72 r0p3 TRM 4.3, Neoverse N1 TRM 2. EL2, EL3, AArch32 and other features
    // that no model has are left out.
    [Theory]
    [InlineData("cortex-a57", 0x411F_D070u, 0x0000_0011ul, 0ul, 0x0001_1120ul, 0ul, 0x0000_0124ul, 0ul, 0ul)]
    [InlineData("cortex-a72", 0x410F_D083u, 0x0000_0011ul, 0ul, 0x0001_1120ul, 0ul, 0x0000_0124ul, 0ul, 0ul)]
    [InlineData("neoverse-n1", 0x414F_D0C1u, 0x1100_0000_1011_0011ul, 0x20ul, 0x1000_1021_1120ul,
        0x0010_0001ul, 0x0010_0125ul, 0x0020_2002ul, 0x1011ul)]
    [InlineData("max", 0x000F_0510u, 0x1101_0001_2011_0011ul, 0x121ul, 0x1221_1111_1021_2120ul,
        0x0011_2111_1031_1502ul, 0x1020_0126ul, 0x1020_0030_2002ul, 0x1021_0011_1001_1011ul)]
    public void Model_is_what_its_name_says(
        string model, uint midr, ulong pfr0, ulong pfr1, ulong isar0, ulong isar1, ulong mmfr0, ulong mmfr1, ulong mmfr2)
    {
        using var bare = new BareCore(model);
        Assert.False(IsUndefined(bare, 0xD538_0005));
        Assert.Equal(midr, bare.State->X[5]);
        Assert.Equal(pfr0, Read(bare, Pfr0));
        Assert.Equal(pfr1, Read(bare, Pfr1));
        Assert.Equal(isar0, Read(bare, Isar0));
        Assert.Equal(isar1, Read(bare, Isar1));
        Assert.Equal(mmfr0, Read(bare, Mmfr0));
        Assert.Equal(mmfr1, Read(bare, Mmfr1));
        Assert.Equal(mmfr2, Read(bare, Mmfr2));
    }
}
