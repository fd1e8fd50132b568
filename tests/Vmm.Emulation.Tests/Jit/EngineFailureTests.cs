using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Machine;
using Vmm.Emulation.Tests.InstructionOracle;

namespace Vmm.Emulation.Tests.Jit;

/// <summary>Defects of the engine itself: they are reported with the place in the guest, and the engine is left as usable as before.</summary>
public sealed unsafe class EngineFailureTests
{
    // nop; nop; wfi.
    private static readonly uint[] s_words = [0xD503_201F, 0xD503_201F, 0xD503_207F];

    [Fact]
    public void Exception_in_the_translator_is_reported_and_leaves_no_lock_behind()
    {
        using EngineUnderTest jit = Make();
        Op* op = jit.DecodedOp(OracleRecord.Code + 4);
        ushort row = op->Row;
        op->Row = ushort.MaxValue;
        VcpuExecutionException failure = Fail(jit);
        Assert.IsType<IndexOutOfRangeException>(failure.InnerException);
        op->Row = row;
        GoOn(jit);
    }

    [Fact]
    public void Exception_in_a_callback_of_translated_code_is_reported_with_its_address()
    {
        using EngineUnderTest jit = Make();
        Op* op = jit.DecodedOp(OracleRecord.Code + 8);
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler = op->Handler;
        op->Handler = &Throw;
        VcpuExecutionException failure = Fail(jit);
        Assert.IsType<InvalidOperationException>(failure.InnerException);
        Assert.Contains("50000008", failure.Message, StringComparison.Ordinal);
        op->Handler = handler;
        GoOn(jit);
    }

    private static EngineUnderTest Make()
    {
        var jit = new EngineUnderTest(CpuModel.Find("max")!, Accelerator.Jit);
        jit.PlantProgram(s_words);
        return jit;
    }

    private static VcpuExecutionException Fail(EngineUnderTest jit)
    {
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        try
        {
            jit.RunProgram(ref record, 100);
        }
        catch (VcpuExecutionException e)
        {
            return e;
        }

        throw new InvalidOperationException("nothing was thrown");
    }

    private static void GoOn(EngineUnderTest jit)
    {
        OracleRecord record = default;
        record.Pc = OracleRecord.Code;
        Assert.Equal(VcpuExit.WaitForInterrupt, jit.RunProgram(ref record, 100));
        Assert.False(jit.Translations!.Statistics.Blocks == 0);
    }

    private static Op* Throw(VcpuCore core, CpuState* state, Op* op) => throw new InvalidOperationException("defect");
}
