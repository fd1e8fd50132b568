using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Data Processing — Immediate (Arm ARM C4.1.93).</summary>
internal static unsafe class DataProcessingImmediate
{
    public static readonly EncodingRow[] Rows =
    [
        new("1 0 0 100010 s iiiiiiiiiiii nnnnn ddddd", "ADD (immediate) 64", &Operands.AddSubImmediate, &IntegerImmediate.Add64),
    ];
}
