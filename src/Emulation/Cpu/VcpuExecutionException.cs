using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// An exception was thrown while a vCPU executed, which is a defect of Vmm. The message says which, and where in the guest.
/// </summary>
public sealed unsafe class VcpuExecutionException : Exception
{
    internal VcpuExecutionException(VcpuCore core, Exception cause)
        : base($"{cause.GetType().Name}: {cause.Message}\n{PlaceOf(core)}", cause)
    {
    }

    // With a translator, each instruction that a handler executes is noted. The interpreter notes only the target of its last branch.
    private static string PlaceOf(VcpuCore core)
    {
        Op* op = core.State->RunStart;
        bool isKnown = core.IsTranslated
            ? op == core.EntryOp || op == core.LeftOp || core.ColdOps.Holds(op)
            : core.Page is { } page && op >= page.First && op < page.First + CodePage.Words;
        if (!isKnown)
        {
            return $"guest PC 0x{core.State->Pc:x16}";
        }

        string mnemonic = op->Decoded == 0 ? "not decoded" : op->IsAllocated ? EncodingTable.Rows[op->Row].Mnemonic : "UNDEFINED";
        return $"guest PC 0x{core.PcOf(op):x16}{(core.IsTranslated ? "" : " or behind it")}: {op->Word:x8} {mnemonic}";
    }
}
