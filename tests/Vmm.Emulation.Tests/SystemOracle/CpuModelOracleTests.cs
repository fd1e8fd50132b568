using System.Globalization;
using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>The ID registers of each model beside those of QEMU's: equal but for fields that are named here, which promise less.</summary>
public sealed class CpuModelOracleTests
{
    // Fields of which our models promise less, by the lowest bit, with what is missing.
    private static readonly Dictionary<(string Register, int Field), string> s_less = new()
    {
        [("ID_AA64PFR0_EL1", 0)] = "AArch32 at EL0",
        [("ID_AA64PFR0_EL1", 4)] = "AArch32 at EL1",
        [("ID_AA64PFR0_EL1", 36)] = "Secure EL2",
        [("ID_AA64PFR0_EL1", 56)] = "FEAT_CSV2_2",
        [("ID_AA64PFR1_EL1", 36)] = "FEAT_NMI",
        [("ID_AA64DFR0_EL1", 0)] = "Armv8.2 debug and later",
        [("ID_AA64DFR0_EL1", 8)] = "performance monitors of their version",
        [("ID_AA64DFR0_EL1", 60)] = "HPMN0",
        [("ID_AA64DFR0_EL1", 36)] = "double lock",
        [("ID_AA64ISAR1_EL1", 40)] = "COSP",
        [("ID_AA64ISAR1_EL1", 56)] = "FEAT_XS",
        [("ID_AA64MMFR0_EL1", 12)] = "SNSMem",
        [("ID_AA64MMFR0_EL1", 16)] = "mixed endianness at EL0 alone",
        [("ID_AA64MMFR0_EL1", 32)] = "stage 2",
        [("ID_AA64MMFR0_EL1", 36)] = "stage 2",
        [("ID_AA64MMFR0_EL1", 40)] = "stage 2",
        [("ID_AA64MMFR0_EL1", 56)] = "fine-grained traps",
        [("ID_AA64MMFR0_EL1", 60)] = "ECV at EL2",
        [("ID_AA64MMFR1_EL1", 4)] = "VMIDs",
        [("ID_AA64MMFR1_EL1", 8)] = "VHE",
        [("ID_AA64MMFR1_EL1", 16)] = "LORegions",
        [("ID_AA64MMFR1_EL1", 28)] = "XNX",
        [("ID_AA64MMFR1_EL1", 40)] = "HCX",
        [("ID_AA64MMFR1_EL1", 52)] = "TIDCP1",
        [("ID_AA64MMFR1_EL1", 56)] = "CMOW",
        [("ID_AA64MMFR2_EL1", 20)] = "CCIDX of max",
        [("ID_AA64MMFR2_EL1", 24)] = "nested virtualisation",
        [("ID_AA64MMFR2_EL1", 40)] = "FWB",
        [("ID_AA64MMFR2_EL1", 56)] = "EVT",
    };

    // CTR_EL0.IDC and DIC: what is true of caches that are not there. QEMU has lines of tags, as these models do.
    private const ulong CoherenceMask = 3ul << 28;

    [Theory]
    [InlineData("cortex-a53")]
    [InlineData("cortex-a55")]
    [InlineData("cortex-a57")]
    [InlineData("cortex-a72")]
    [InlineData("cortex-a76")]
    [InlineData("cortex-a710")]
    [InlineData("cortex-a710,sve=off")]
    [InlineData("neoverse-n1")]
    [InlineData("neoverse-n2")]
    [InlineData("neoverse-v1")]
    [InlineData("neoverse-v1,sve=off")]
    [InlineData("max,sme=off")]
    [InlineData("max,sve=off,sme=off")]
    public async Task Model_promises_what_qemus_does_but_for_what_is_named(string cpuModel)
    {
        using var program = new SystemPayload("models");
        Task<string> theirs = Task.Run(() => new QemuMachine().Run(program.Image, cpuModel, 1));
        Dictionary<string, ulong> ours = Parse(new EngineMachine(Accelerator.Interpreter).Run(program.Image, cpuModel, 1));
        var wrong = new List<string>();
        bool isMax = cpuModel.StartsWith("max", StringComparison.Ordinal);
        foreach ((string register, ulong their) in Parse(await theirs))
        {
            ulong our = ours[register];
            if (register.StartsWith("ID_AA64", StringComparison.Ordinal))
            {
                for (int field = 0; field < 64; field += 4)
                {
                    int we = (int)(our >> field) & 15;
                    int they = (int)(their >> field) & 15;
                    if (we != they && !(s_less.ContainsKey((register, field)) && IsLess(we, they)) && !IsOnlyOurs(register, field, isMax))
                    {
                        wrong.Add($"{register}[{field + 3}:{field}] is {we}, {they} under QEMU");
                    }
                }
            }
            else if ((our | CoherenceMask) != (their | CoherenceMask) && !(isMax && register.StartsWith("CC", StringComparison.Ordinal))
                && !(register == "CTR_EL0" && isMax))
            {
                wrong.Add($"{register} is {our:x}, {their:x} under QEMU");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    // 15 says that there is none.
    private static bool IsLess(int we, int they) => they == 15 || we < they;

    // QEMU 10 has no FEAT_CSSC and no FEAT_LRCPC3.
    private static bool IsOnlyOurs(string register, int field, bool isMax) =>
        isMax && (register, field) is ("ID_AA64ISAR2_EL1", 52) or ("ID_AA64ISAR1_EL1", 20);

    private static Dictionary<string, ulong> Parse(string text) => text[..^SystemPayload.LastLine.Length].TrimEnd().Split('\n')
        .Select(line => line.Split(' '))
        .ToDictionary(p => p[0], p => ulong.Parse(p[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
}
