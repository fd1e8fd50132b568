using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Tests.InstructionOracle;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>
/// Defects of the engine itself leave it as usable as before. (What is reported of one below a guest access: ThrowingDeviceTests.)
/// </summary>
public sealed unsafe class EngineFailureTests
{
    // nop; nop; wfi.
    private static readonly uint[] s_words = [0xD503_201F, 0xD503_201F, 0xD503_207F];

    [Fact]
    public void Exception_while_translating_leaves_no_lock_behind()
    {
        using var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        jit.PlantProgram(s_words);
        Assert.Throws<NullReferenceException>(() => Translate(jit));
        long blocks = -1;
        var other = new Thread(() => blocks = jit.Translations!.Statistics.Blocks);
        other.Start();
        Assert.True(other.Join(Patience.Limit));
        Assert.Equal(0, blocks);
        GoOn(jit);
    }

    // For no vCPU, whose vector length the code is for.
    private static void Translate(EngineUnderTest jit) => jit.Translations!.Find(null!, jit.PageOf(OracleRecord.Code), 0, out _);

    private static void GoOn(EngineUnderTest jit)
    {
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        Assert.Equal(VcpuExit.WaitForInterrupt, jit.RunProgram(ref record, 100));
    }
}
