using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>
/// FEAT_CSSC, which QEMU 10.0 does not have: each instruction (X3 of X1, and X2 or a constant) does what the instructions of Armv8.0 that
/// it stands for do under QEMU. The words are those of GNU as.
/// </summary>
public sealed unsafe class CommonShortSequenceTests
{
    private const int States = 200;
    private const int Length = 8;
    private const uint ReadFlags = 0xD53B_4209;
    private const uint WriteFlags = 0xD51B_4209;

    // What the longer ways use, and do not leave as it was: X9, X10, V31.
    private const uint Scratch = (1u << 9) | (1u << 10);
    private const int ScratchVector = 31;

    private static readonly (uint Word, uint[] Sequence)[] s_instructions =
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

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public void Instruction_does_what_its_longer_way_does_under_qemu(Accelerator accelerator)
    {
        using var qemu = new QemuPeer();
        using var ours = new EngineUnderTest(CpuModel.Find("max")!, accelerator);
        var random = new CaseGenerator(20261129);
        var slots = new ulong[s_instructions.Length];
        var programs = new uint[s_instructions.Length * Length];
        programs.AsSpan().Fill(OracleRecord.Breakpoint);
        for (int i = 0; i < slots.Length; i++)
        {
            slots[i] = s_instructions[i].Word | ((ulong)OracleRecord.Breakpoint << 32);
            s_instructions[i].Sequence.CopyTo(programs.AsSpan(i * Length));
        }

        ours.Plant(slots);
        for (int n = 0; n < States; n++)
        {
            var before = new OracleRecord[slots.Length];
            for (int i = 0; i < before.Length; i++)
            {
                random.State(0, i, memory: false, floatingPoint: false, out before[i]);
            }

            var theirs = (OracleRecord[])before.Clone();
            qemu.Run(programs, Length, OracleRecord.SlotSize, theirs);
            for (int i = 0; i < before.Length; i++)
            {
                OracleRecord our = before[i];
                ours.Run(ref our);
                Assert.Equal((ulong)OracleEnd.Done, theirs[i].End);
                AssertSame(our, theirs[i], s_instructions[i].Word);
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

        Assert.True(our.Sp == their.Sp && our.Pstate >> 28 == ((their.Pstate >> 28) & 15), $"{word:x8}: SP or flags");
    }
}
