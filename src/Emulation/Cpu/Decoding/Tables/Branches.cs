using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Branches (Arm ARM C4.1.94); exception generation and system instructions are in <see cref="SystemTable"/>.</summary>
internal static unsafe class Branches
{
    public static readonly EncodingRow[] Rows =
    [
        new("0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "B", Operation.B, Jump, &Operands.Branch26, &Branch.B),
        new("1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "BL", Operation.Bl, WriteLink | Jump, &Operands.Branch26, &Branch.Bl),
        new("0101010 0 iiiiiiiiiiiiiiiiiii 0 cccc", "B.cond", Operation.BCond, ReadFlags | Jump, &Operands.Branch19, &Branch.BCond),
        new("0101010 0 iiiiiiiiiiiiiiiiiii 1 cccc", "BC.cond", Operation.BCond, ReadFlags | Jump, &Operands.Branch19, &Branch.BCond,
            Feature.Hbc),
        new("0 011010 0 iiiiiiiiiiiiiiiiiii ttttt", "CBZ 32", Operation.Cbz, ReadRd | Jump, &Operands.Branch19, &Branch.Cbz32),
        new("1 011010 0 iiiiiiiiiiiiiiiiiii ttttt", "CBZ 64", Operation.Cbz, ReadRd | Jump, &Operands.Branch19, &Branch.Cbz64),
        new("0 011010 1 iiiiiiiiiiiiiiiiiii ttttt", "CBNZ 32", Operation.Cbnz, ReadRd | Jump, &Operands.Branch19, &Branch.Cbnz32),
        new("1 011010 1 iiiiiiiiiiiiiiiiiii ttttt", "CBNZ 64", Operation.Cbnz, ReadRd | Jump, &Operands.Branch19, &Branch.Cbnz64),
        new("b 011011 0 bbbbb iiiiiiiiiiiiii ttttt", "TBZ", Operation.Tbz, ReadRd | Jump, &Operands.Branch14, &Branch.Tbz),
        new("b 011011 1 bbbbb iiiiiiiiiiiiii ttttt", "TBNZ", Operation.Tbnz, ReadRd | Jump, &Operands.Branch14, &Branch.Tbnz),
        new("1101011 0000 11111 000000 nnnnn 00000", "BR", Operation.Br, ReadRn | Jump, &Operands.Registers, &Branch.Br),
        new("1101011 0001 11111 000000 nnnnn 00000", "BLR", Operation.Blr, ReadRn | WriteLink | Jump, &Operands.Registers, &Branch.Blr),
        new("1101011 0010 11111 000000 nnnnn 00000", "RET", Operation.Ret, ReadRn | Jump, &Operands.Registers, &Branch.Br),
    ];
}
