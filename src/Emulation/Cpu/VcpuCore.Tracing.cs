using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu;

/// <content>Trace lines of what this vCPU does; only on paths that are slow anyway.</content>
public sealed unsafe partial class VcpuCore
{
    /// <summary>The trace, if it has a category.</summary>
    internal TraceLog? TraceOf(TraceCategories category) => _trace is { } trace && trace.Traces(category) ? trace : null;

    // Before the instruction is executed.
    private void TraceInstruction(Op* op)
    {
        DecodeCurrent(op);
        int row = EncodingTable.Find(op->Word);
        string mnemonic = row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic;
        _trace!.Write(
            TraceCategories.Insn,
            $"cpu{Index.Value} EL{Pstate.ExceptionLevel(_state->Pstate)} 0x{PcOf(op):x16} {op->Word:x8} {mnemonic}");
    }
}
