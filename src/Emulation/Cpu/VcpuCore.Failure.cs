using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// An exception was thrown while a vCPU executed, which is a defect of Vmm. The message says which, and where in the guest.
/// </summary>
public sealed class VcpuExecutionException(string message, Exception inner) : Exception(message, inner);

/// <content>The place in the guest at which an exception was thrown.</content>
public sealed unsafe partial class VcpuCore
{
    private VcpuExecutionException Failure(Exception cause) => new($"{cause.GetType().Name}: {cause.Message}\n{DescribePlace()}", cause);

    // With a translator, each instruction that a handler executes is noted. The interpreter notes only the target of its last branch.
    private string DescribePlace()
    {
        Op* op = _state->RunStart;
        bool isKnown = _translations != null
            ? op == EntryOp || op == LeftOp
            : Page is { } page && op >= page.First && op < page.First + CodePage.Words;
        if (!isKnown)
        {
            return $"guest PC 0x{_state->Pc:x16}";
        }

        string mnemonic = op->Decoded == 0 ? "not decoded" : op->IsAllocated ? EncodingTable.Rows[op->Row].Mnemonic : "UNDEFINED";
        return $"guest PC 0x{PcOf(op):x16}{(_translations == null ? " or behind it" : "")}: {op->Word:x8} {mnemonic}";
    }
}
