using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Host.Migration;

/// <summary>
/// A program for a small machine that executes nearly all instructions, and what a kernel executes all the time: page tables, interrupts of
/// the timer, a program at EL0 and its system calls, system registers. It ends with SYSTEM_OFF. In the words, X0 is the address of data.
/// </summary>
internal static class RehearsalProgram
{
    private const int ScratchBytes = 8192;

    // The vectors of VBAR_EL1 (Arm ARM, section D1.3.1): sixteen of 128 bytes.
    private const int VectorCount = 16;
    private const int VectorBytes = 128;
    private const int PageBytes = 4096;

    private const uint Nop = 0xD503201F;

    // ADR X0: the address is that of data behind the code.
    private const uint Adr = 0x10000000;

    // MSR VBAR_EL1, X0; MOVZ X0, #0x30, LSL #16; MSR CPACR_EL1, X0; ISB: exceptions are handled, FP and SIMD do not trap.
    private static readonly uint[] s_start = [0xD518C000, 0xD2A00600, 0xD5181040, 0xD5033FDF];

    private static readonly uint[] s_translation =
    [
        // TTBR0_EL1 = X0, the tables.
        0xD5182000,

        // MAIR_EL1: 0 is normal memory, 1 a device's.
        0xD2801FE1, 0xD518A201,

        // TCR_EL1: T0SZ 25, cacheable, nothing by TTBR1_EL1, 40 bits of physical addresses.
        0xD286A321, 0xF2A01001, 0xF2C00041, 0xD5182041, 0xD5033FDF,

        // SCTLR_EL1: M, C, I, and the keys of FEAT_PAuth.
        0xD5381001, 0xD28600A2, 0xF2B90002, 0xAA020021, 0xD5181001, 0xD5033FDF,
    ];

    private static readonly uint[] s_interruptController =
    [
        // X1 is the redistributor. GICR_WAKER; GICR_IGROUPR0: all in group 1; GICR_ISENABLER0: that of the virtual timer, 27.
        0xD2A10141, 0xB900143F, 0x91404021, 0x12800002, 0xB9008022, 0x52A10002, 0xB9010022,

        // GICD_CTLR: ARE, group 1.
        0xD2A10001, 0x52800242, 0xB9000022,

        // ICC_SRE_EL1, ICC_PMR_EL1, ICC_IGRPEN1_EL1.
        0xD28000E2, 0xD518CCA2, 0xD5033FDF, 0xD2801E02, 0xD5184602, 0xD2800022, 0xD518CCE2,

        // CNTKCTL_EL1: counters may be read at EL0.
        0xD2800062, 0xD518E102,
    ];

    // MOVZ X19, #16: how often the rest is executed. It is translated before.
    private const uint Repeat = 0xD2800213;

    // SUB X19, X19, #1; CBNZ X19, but for its displacement.
    private const uint CountDown = 0xD1000673;
    private const uint Again = 0xB5000013;

    private static readonly uint[] s_kernel =
    [
        // CNTV_TVAL_EL0 = 1000, CNTV_CTL_EL0 = 1; WFI; the interrupt is taken.
        0xD2807D01, 0xD51BE301, 0xD2800021, 0xD51BE321, 0xD5033FDF, 0xD503207F, 0xD50342FF, 0xD5033FDF, 0xD50342DF,

        // X20 is where the program ends; ERET to it, by the addresses that EL0 may use.
        0x10000194, 0x100000C1, 0xD2A80002, 0x8B020021, 0xD5184021, 0xD518401F, 0xD69F03E0,

        // At EL0: MRS of CNTVCT_EL0 and TPIDR_EL0; PACIASP; AUTIASP; SVC.
        0xD53BE041, 0xD53BD041, 0xD503233F, 0xD50323BF, 0xD4000001,

        // SP_EL0, TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1, TTBR0_EL1, CONTEXTIDR_EL1, read and written.
        0xD5384101, 0xD5184101, 0xD53BD041, 0xD51BD041, 0xD51BD061, 0xD538D081, 0xD518D081, 0xD5382001, 0xD5182001, 0xD538D021, 0xD518D021,

        // ESR_EL1, FAR_EL1, SPSR_EL1; CNTV_CTL_EL0, CNTV_CVAL_EL0; DAIF; MIDR_EL1, MPIDR_EL1.
        0xD5385201, 0xD5386001, 0xD5384001, 0xD53BE321, 0xD53BE341, 0xD51BE341, 0xD53B4221, 0xD51B4221, 0xD5380001, 0xD53800A1,

        // APIAKeyLo_EL1 and APIAKeyHi_EL1 are those of ICC_PMR_EL1; SCTLR_EL1 and CPACR_EL1 as they were; XPACLRI; MSR DIT, #1.
        0xD5384601, 0xD5182101, 0xD5182121, 0xD5381001, 0xD5181001, 0xD5381041, 0xD5181041, 0xD50320FF, 0xD503415F,

        // DSB SY and ISHST, DMB, ISB; TLBI VMALLE1IS and VAE1IS, DSB; IC IVAU, DC CVAU, DC ZVA.
        0xD5033F9F, 0xD5033A9F, 0xD5033BBF, 0xD5033FDF, 0xD508831F, 0xD5088320, 0xD5033B9F, 0xD50B7520, 0xD50B7B20, 0xD50B7420,
    ];

    // CBZ, CBNZ, TBZ, TBNZ, B and BL to the next instruction; ADR X1, 8 before BR, BLR and RET by it; SVC, after which one is left out.
    private static readonly uint[] s_jumps =
    [
        0xB4000020, 0xB5000020, 0x36000020, 0x37000020, 0x14000001, 0x94000001, 0x10000041, 0xD61F0020, 0x10000041, 0xD63F0020,
        0x10000041, 0xD65F0020, 0xD4000001, Nop,
    ];

    // B.cond to the next instruction, but for its condition.
    private const uint BranchCondition = 0x54000020;
    private const uint Conditions = 16;

    // MOVZ X1, #40; SUBS X1, X1, #1; B.NE to it. What follows a loop is translated with it, and not interpreted before.
    private static readonly uint[] s_loop = [0xD2800501, 0xF1000421, 0x54FFFFE1];

    // MOVZ W0, #0x8400, LSL #16; MOVK W0, #8; HVC #0: SYSTEM_OFF (PSCI 1.3, section 5.1.9). It does not return.
    private static readonly uint[] s_end = [0x52B08000, 0x72800100, 0xD4000002];

    // MRS X17, ELR_EL1; ADD X17, X17, #4; MSR ELR_EL1, X17; ERET: what faults is left out.
    private static readonly uint[] s_faulted = [0xD5384031, 0x91001231, 0xD5184031, 0xD69F03E0];

    // ICC_IAR1_EL1; CNTV_CTL_EL0 = 2; ICC_EOIR1_EL1; ISB; ERET.
    private static readonly uint[] s_interrupted = [0xD538CC01, 0xD2800042, 0xD51BE322, 0xD518CC21, 0xD5033FDF, 0xD69F03E0];

    // ELR_EL1 = X20, SPSR_EL1 = 0x3C5 (EL1h, all masked); ERET: the program at EL0 has ended.
    private static readonly uint[] s_called = [0xD5184034, 0xD28078A1, 0xD5184001, 0xD69F03E0];

    // Blocks of 1 GiB from 0 on (Arm ARM, section D8.3): devices, RAM, and RAM once more for EL0.
    private static readonly ulong[] s_tables = [0x0040_0000_0000_0405, 0x4000_0701, 0x4000_0741];

    /// <summary>The program, then its vectors, its data and its page tables. It must be loaded at the begin of a page of RAM.</summary>
    public static byte[] Make()
    {
        uint[] samples = [.. EncodingTable.Rows.Where((row, i) => IsSample(row, i)).Select(row => row.Value)];
        int length = 2 + s_start.Length + s_translation.Length + s_interruptController.Length + 1 + s_kernel.Length + (2 * samples.Length)
            + s_jumps.Length + (int)Conditions + s_loop.Length + 3 + s_end.Length;
        int vectors = RoundUp(length * sizeof(uint), VectorCount * VectorBytes);
        int scratch = vectors + (VectorCount * VectorBytes);
        int tables = RoundUp(scratch + ScratchBytes, PageBytes);
        var code = new List<uint>((tables + PageBytes) / sizeof(uint));
        code.Add(AdrTo(code, vectors));
        code.AddRange(s_start);
        code.Add(AdrTo(code, tables));
        code.AddRange(s_translation);
        code.AddRange(s_interruptController);
        code.Add(Repeat);
        int first = code.Count;
        code.Add(AdrTo(code, scratch + (ScratchBytes / 2)));
        code.AddRange(s_kernel);
        foreach (uint sample in samples)
        {
            code.Add(AdrTo(code, scratch + (ScratchBytes / 2)));
            code.Add(sample);
        }

        code.AddRange(s_jumps);
        for (uint condition = 0; condition < Conditions; condition++)
        {
            code.Add(BranchCondition | condition);
        }

        code.AddRange(s_loop);
        code.Add(CountDown);
        code.Add(Again | (((uint)(first - code.Count) & 0x7FFFF) << 5));
        code.AddRange(s_end);
        for (int vector = 0; vector < VectorCount; vector++)
        {
            Fill(code, vectors + (vector * VectorBytes));

            // Of each four the second is an interrupt's, and the ninth of all a synchronous exception of EL0.
            code.AddRange(vector % 4 == 1 ? s_interrupted : vector == 8 ? s_called : s_faulted);
        }

        Fill(code, tables);
        code.AddRange(MemoryMarshal.Cast<ulong, uint>(s_tables));
        code.AddRange(new uint[(PageBytes - (s_tables.Length * sizeof(ulong))) / sizeof(uint)]);
        return MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(code)).ToArray();
    }

    // With zeros for all fields. What jumps would not come back, and what changes the state of the system could do anything.
    private static bool IsSample(in EncodingRow row, int index) =>
        !row.IsScalable && !row.May(Effects.Jump | Effects.LocalState | Effects.SystemState) && EncodingTable.Find(row.Value) == index;

    // ADR X0 to a place, in bytes from the start of the code.
    private static uint AdrTo(List<uint> code, int place)
    {
        uint distance = (uint)(place - (code.Count * sizeof(uint)));
        return Adr | ((distance & 3) << 29) | ((distance >> 2) << 5);
    }

    private static void Fill(List<uint> code, int place)
    {
        while (code.Count * sizeof(uint) < place)
        {
            code.Add(Nop);
        }
    }

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
