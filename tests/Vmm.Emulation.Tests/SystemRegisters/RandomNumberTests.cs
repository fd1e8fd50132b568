using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Exceptions;

namespace Vmm.Emulation.Tests.SystemRegisters;

/// <summary>RNDR and RNDRRS (FEAT_RNG): another number each time, NZCV cleared by an MRS, in both engines and at EL0.</summary>
public sealed unsafe class RandomNumberTests
{
    private const int Rounds = 200;

    // MRS to X2. CMP X0, X0 before it sets Z and C. CSET X3, EQ and CSET X4, CS after it show what MRS has left of them. Each round adds
    // to X5 to X8.
    private static uint[] Program(uint read) =>
    [
        0xD280_0000 | (Rounds << 5),   // mov x0, #Rounds
        0xEB00_001F,                   // 1: cmp x0, x0
        read | 2,                      // mrs x2, rndr
        0x9A9F_17E3,                   // cset x3, eq
        0x9A9F_37E4,                   // cset x4, cs
        0xAA03_00A5,                   // orr x5, x5, x3
        0xAA04_00C6,                   // orr x6, x6, x4
        0xAA02_00E7,                   // orr x7, x7, x2
        0xCA02_0108,                   // eor x8, x8, x2
        0xF100_0400,                   // subs x0, x0, #1
        0x54FF_FEE1,                   // b.ne 1b
        0xD503_207F,                   // wfi
    ];

    [Theory]
    [InlineData(0xD53B_2400u, false, false)]
    [InlineData(0xD53B_2400u, true, false)]
    [InlineData(0xD53B_2420u, false, false)]
    [InlineData(0xD53B_2420u, true, false)]
    [InlineData(0xD53B_2400u, false, true)]
    [InlineData(0xD53B_2400u, true, true)]
    public void Read_gives_another_number_each_time_and_clears_the_flags(uint read, bool jit, bool el0)
    {
        using var bare = new BareCore("max", jit);
        var seen = new HashSet<ulong>();
        for (int run = 0; run < 3; run++)
        {
            CpuState* s = bare.State;
            bare.Core.Reset(BareCore.Code, 0);
            s->SctlrEl1 |= Sctlr.NTwi;
            bare.Write(BareCore.Code, Program(read));
            if (el0)
            {
                bare.Core.SetPstate(Pstate.ModeEl0t);
            }

            Assert.Equal(VcpuExit.WaitForInterrupt, bare.Core.Run(20 * Rounds));
            Assert.Equal((0ul, 0ul, 0ul), (s->X[0], s->X[5], s->X[6]));

            // Of 200 numbers each bit is set in some; that all are alike in one bit has a chance of 2⁻¹⁹³.
            Assert.Equal(ulong.MaxValue, s->X[7]);
            Assert.True(seen.Add(s->X[2]) && seen.Add(s->X[8]), "a number came again");
        }
    }
}
