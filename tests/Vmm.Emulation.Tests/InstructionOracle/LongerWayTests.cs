using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>
/// FEAT_CSSC and FEAT_LRCPC3, which QEMU 10.0 does not have: each instruction does what the instructions of Armv8.0 that it stands for do
/// under QEMU. The words are those of GNU as and LLVM.
/// </summary>
public sealed unsafe class LongerWayTests
{
    private const int States = 200;
    private const int Length = 8;
    private const uint ReadFlags = 0xD53B_4209;
    private const uint WriteFlags = 0xD51B_4209;

    // What the longer ways use, and do not leave as it was: X9, X10, V31.
    private const uint Scratch = (1u << 9) | (1u << 10);
    private const int ScratchVector = 31;

    // X3 of X1, and X2 or a constant.
    private static readonly (uint Word, uint[] Sequence)[] s_shortSequences =
    [
        (0x5AC0_2023, [ReadFlags, 0x7100_003F, 0x5A81_A423, WriteFlags]),
        (0xDAC0_2023, [ReadFlags, 0xF100_003F, 0xDA81_A423, WriteFlags]),
        (0x5AC0_1C23, [0x1E27_003F, 0x0E20_5BFF, 0x0E31_BBFF, 0x1E26_03E3]),
        (0xDAC0_1C23, [0x9E67_003F, 0x0E20_5BFF, 0x0E31_BBFF, 0x1E26_03E3]),
        (0x5AC0_1823, [0x5AC0_0023, 0x5AC0_1063]),
        (0xDAC0_1823, [0xDAC0_0023, 0xDAC0_1063]),

        // SMAX, UMAX, SMIN, UMIN: a comparison, and a choice where it is greater, higher, less, lower.
        (0x1AC2_6023, [ReadFlags, 0x6B02_003F, 0x1A82_C023, WriteFlags]),
        (0x9AC2_6023, [ReadFlags, 0xEB02_003F, 0x9A82_C023, WriteFlags]),
        (0x1AC2_6423, [ReadFlags, 0x6B02_003F, 0x1A82_8023, WriteFlags]),
        (0x9AC2_6423, [ReadFlags, 0xEB02_003F, 0x9A82_8023, WriteFlags]),
        (0x1AC2_6823, [ReadFlags, 0x6B02_003F, 0x1A82_B023, WriteFlags]),
        (0x9AC2_6823, [ReadFlags, 0xEB02_003F, 0x9A82_B023, WriteFlags]),
        (0x1AC2_6C23, [ReadFlags, 0x6B02_003F, 0x1A82_3023, WriteFlags]),
        (0x9AC2_6C23, [ReadFlags, 0xEB02_003F, 0x9A82_3023, WriteFlags]),

        // The same with -77 and 200.
        (0x11C2_CC23, [ReadFlags, 0x1280_098A, 0x6B0A_003F, 0x1A8A_C023, WriteFlags]),
        (0x91C2_CC23, [ReadFlags, 0x9280_098A, 0xEB0A_003F, 0x9A8A_C023, WriteFlags]),
        (0x11C7_2023, [ReadFlags, 0xD280_190A, 0x6B0A_003F, 0x1A8A_8023, WriteFlags]),
        (0x91C7_2023, [ReadFlags, 0xD280_190A, 0xEB0A_003F, 0x9A8A_8023, WriteFlags]),
        (0x11CA_CC23, [ReadFlags, 0x1280_098A, 0x6B0A_003F, 0x1A8A_B023, WriteFlags]),
        (0x91CA_CC23, [ReadFlags, 0x9280_098A, 0xEB0A_003F, 0x9A8A_B023, WriteFlags]),
        (0x11CF_2023, [ReadFlags, 0xD280_190A, 0x6B0A_003F, 0x1A8A_3023, WriteFlags]),
        (0x91CF_2023, [ReadFlags, 0xD280_190A, 0xEB0A_003F, 0x9A8A_3023, WriteFlags]),
    ];

    // X3, X4 or V3 at X1, which is aligned: the same without the order.
    private static readonly (uint Word, uint[] Sequence)[] s_orderedAccesses =
    [
        // LDAPR, STLR.
        (0x99C0_0823, [0xB840_4423]),
        (0xD9C0_0823, [0xF840_8423]),
        (0x9980_0823, [0xB81F_CC23]),
        (0xD980_0823, [0xF81F_8C23]),

        // LDIAPP, STILP.
        (0x9944_1823, [0x2940_1023]),
        (0xD944_1823, [0xA940_1023]),
        (0x9944_0823, [0x28C1_1023]),
        (0xD944_0823, [0xA8C1_1023]),
        (0x9904_1823, [0x2900_1023]),
        (0xD904_1823, [0xA900_1023]),
        (0x9904_0823, [0x29BF_1023]),
        (0xD904_0823, [0xA9BF_1023]),

        // LDAPUR, STLUR of B at 5, H at -6, S at 8, D at -16, Q at 32.
        (0x1D40_5823, [0x3C40_5023]),
        (0x5D5F_A823, [0x7C5F_A023]),
        (0x9D40_8823, [0xBC40_8023]),
        (0xDD5F_0823, [0xFC5F_0023]),
        (0x1DC2_0823, [0x3CC2_0023]),
        (0x1D00_5823, [0x3C00_5023]),
        (0x5D1F_A823, [0x7C1F_A023]),
        (0x9D00_8823, [0xBC00_8023]),
        (0xDD1F_0823, [0xFC1F_0023]),
        (0x1D82_0823, [0x3C82_0023]),

        // LDAP1, STL1.
        (0x0D41_8423, [0x0D40_8423]),
        (0x4D41_8423, [0x4D40_8423]),
        (0x0D01_8423, [0x0D00_8423]),
        (0x4D01_8423, [0x4D00_8423]),
    ];

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void Short_sequence_does_what_its_longer_way_does_under_qemu(Accelerator accelerator) =>
        Compare(s_shortSequences, accelerator, memory: false);

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void Ordered_access_does_what_the_plain_one_does_under_qemu(Accelerator accelerator) =>
        Compare(s_orderedAccesses, accelerator, memory: true);

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void Ordered_access_that_is_misaligned_faults_without_LSE2(Accelerator accelerator)
    {
        using var ours = new EngineUnderTest(CpuModel.Find("max")! with { HasLse2 = false }, accelerator);
        ulong[] slots = [.. s_orderedAccesses.Select(i => i.Word | ((ulong)OracleRecord.Breakpoint << 32))];
        ours.Plant(slots);
        var random = new CaseGenerator(20261130);
        for (int i = 0; i < slots.Length; i++)
        {
            random.State(0, i, memory: false, floatingPoint: false, out OracleRecord before);
            before.X[1] = OracleRecord.Window + 97;
            OracleRecord after = before;
            ours.Run(ref after);

            // Bytes are aligned everywhere.
            bool isByte = (s_orderedAccesses[i].Word >> 24) == 0x1D && (s_orderedAccesses[i].Word & (1 << 23)) == 0;
            Assert.Equal(isByte ? OracleEnd.Done : OracleEnd.Bus, (OracleEnd)after.End);
            Assert.True(before.X[1] == after.X[1], $"{s_orderedAccesses[i].Word:x8}: writes X1");
        }
    }

    private static void Compare((uint Word, uint[] Sequence)[] instructions, Accelerator accelerator, bool memory)
    {
        using var qemu = new QemuPeer();
        using var ours = new EngineUnderTest(CpuModel.Find("max")!, accelerator);
        var random = new CaseGenerator(20261129);
        var slots = new ulong[instructions.Length];
        var programs = new uint[instructions.Length * Length];
        programs.AsSpan().Fill(OracleRecord.Breakpoint);
        for (int i = 0; i < slots.Length; i++)
        {
            slots[i] = instructions[i].Word | ((ulong)OracleRecord.Breakpoint << 32);
            instructions[i].Sequence.CopyTo(programs.AsSpan(i * Length));
        }

        ours.Plant(slots);
        for (int n = 0; n < States; n++)
        {
            var before = new OracleRecord[slots.Length];
            for (int i = 0; i < before.Length; i++)
            {
                random.State(0, i, memory: false, floatingPoint: false, out before[i]);
                if (memory)
                {
                    before[i].X[1] = OracleRecord.Window + 96;
                }
            }

            var theirs = (OracleRecord[])before.Clone();
            qemu.Run(programs, Length, OracleRecord.SlotSize, theirs);
            for (int i = 0; i < before.Length; i++)
            {
                OracleRecord our = before[i];
                ours.Run(ref our);
                Assert.Equal((ulong)OracleEnd.Done, theirs[i].End);
                AssertSame(our, theirs[i], instructions[i].Word);
            }
        }
    }

    private static void AssertSame(OracleRecord our, OracleRecord their, uint word)
    {
        for (int i = 0; i < 31; i++)
        {
            Assert.True(((Scratch >> i) & 1) != 0 || our.X[i] == their.X[i], $"{word:x8}: x{i} {our.X[i]:x} not {their.X[i]:x}");
        }

        for (int i = 0; i < 2 * ScratchVector; i++)
        {
            Assert.True(our.V[i] == their.V[i], $"{word:x8}: writes V{i / 2}");
        }

        for (int i = 0; i < OracleRecord.WindowSize; i++)
        {
            Assert.True(our.Memory[i] == their.Memory[i], $"{word:x8}: byte {i} of memory is {our.Memory[i]:x} not {their.Memory[i]:x}");
        }

        Assert.True(our.Sp == their.Sp && our.Pstate >> 28 == ((their.Pstate >> 28) & 15), $"{word:x8}: SP or flags");
    }
}
