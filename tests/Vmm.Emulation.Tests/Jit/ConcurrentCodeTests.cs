using Vmm.Emulation.Cpu;
using Vmm.Emulation.Tests.Mmu;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// One vCPU writes a function again and again, and others call it meanwhile. The writer does what the architecture wants (Arm ARM B2.4.4:
/// DC CVAU, DSB, IC IVAU, DSB) and then stores the number that the function returns with release; a reader loads it with acquire, executes
/// ISB, and calls. It never gets an older number.
/// </summary>
public sealed unsafe class ConcurrentCodeTests
{
    private const int Rounds = 20_000;
    private const ulong Function = TranslatedCores.Code + 0x1000;
    private const ulong Flag = TranslatedCores.Code + 0x4000;
    private const uint Ret = 0xD65F_03C0;

    // The function's number is X0 while it is written, and X22 is the last.
    private static readonly uint[] s_writer =
    [
        0xD280_0000, // mov  x0, #0
        0x9100_0400, // loop: add x0, x0, #1
        0x52BA_5001, // mov  w1, #0xd2800000
        0x2A00_1421, // orr  w1, w1, w0, lsl #5
        0xB900_0281, // str  w1, [x20]: mov x0, #number
        0xD50B_7B34, // dc   cvau, x20
        0xD503_3B9F, // dsb  ish
        0xD50B_7534, // ic   ivau, x20
        0xD503_3B9F, // dsb  ish
        0xD503_3FDF, // isb
        0xC89F_FEA0, // stlr x0, [x21]
        0xEB16_001F, // cmp  x0, x22
        0x54FF_FEA3, // b.lo loop
        0xD503_207F, // wfi
    ];

    [Theory]
    [InlineData(false, false, 2)]
    [InlineData(true, false, 2)]
    [InlineData(true, true, 2)]
    [InlineData(true, false, 4)]
    [InlineData(true, true, 4)]
    public void Readers_never_execute_older_code_than_they_know_of(bool jit, bool samePage, int cpus)
    {
        using var machine = new TranslatedCores(cpus, jit);
        machine.Write(TranslatedCores.Code, s_writer);
        machine.Write(Function, 0xD280_0000, Ret);
        for (int cpu = 0; cpu < cpus; cpu++)
        {
            // A reader in the page of the function has a jump to it; another goes by its address.
            ulong reader = (samePage ? Function : TranslatedCores.Code) + ((ulong)cpu * 0x100);
            CpuState* s = machine.Cores[cpu].State;
            s->Pc = cpu == 0 ? TranslatedCores.Code : reader;
            s->X[20] = Function;
            s->X[21] = Flag;
            s->X[22] = Rounds;
            if (cpu > 0)
            {
                machine.Write(reader, Reader(samePage ? 0x9400_0000 | (uint)(-((cpu * 0x100) + 12) >> 2 & 0x3FF_FFFF) : 0xD63F_0280));
            }
        }

        Thread[] threads = [.. machine.Cores.Select(core => new Thread(() => Run(core)))];
        Array.ForEach(threads, thread => thread.Start());
        Assert.All(threads, thread => Assert.True(thread.Join(Patience.Limit)));
        for (int cpu = 1; cpu < cpus; cpu++)
        {
            CpuState* s = machine.Cores[cpu].State;
            Assert.True(s->X[3] == 0, $"vCPU {cpu} knew of {s->X[2]} and executed {s->X[0]}");
            Assert.Equal((ulong)Rounds, s->X[2]);
        }
    }

    private static uint[] Reader(uint call) =>
    [
        0xD280_0003, // mov  x3, #0
        0xC8DF_FEA2, // loop: ldar x2, [x21]
        0xD503_3FDF, // isb
        call,
        0xEB02_001F, // cmp  x0, x2
        0x5400_0083, // b.lo old
        0xEB16_005F, // cmp  x2, x22
        0x54FF_FF43, // b.lo loop
        0xD503_207F, // wfi
        0xD280_0023, // old: mov x3, #1
        0xD503_207F, // wfi
    ];

    private static void Run(VcpuCore core)
    {
        while (core.Run(10_000) != VcpuExit.WaitForInterrupt)
        {
        }
    }
}
