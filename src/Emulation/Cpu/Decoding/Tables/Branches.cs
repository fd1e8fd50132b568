using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Branches (Arm ARM C4.1.94); exception generation and system instructions are in <see cref="SystemTable"/>.</summary>
internal static unsafe class Branches
{
    public static readonly EncodingRow[] Rows =
    [
        new("0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "B", &Operands.Branch26, &Branch.B, flags: RowFlags.Branch),
        new("1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "BL", &Operands.Branch26, &Branch.Bl, flags: RowFlags.Branch),
        new("0101010 0 iiiiiiiiiiiiiiiiiii 0 cccc", "B.cond", &Operands.Branch19, &Branch.BCond, flags: RowFlags.Branch),
        new("0 011010 0 iiiiiiiiiiiiiiiiiii ttttt", "CBZ 32", &Operands.Branch19, &Branch.Cbz32, flags: RowFlags.Branch),
        new("1 011010 0 iiiiiiiiiiiiiiiiiii ttttt", "CBZ 64", &Operands.Branch19, &Branch.Cbz64, flags: RowFlags.Branch),
        new("0 011010 1 iiiiiiiiiiiiiiiiiii ttttt", "CBNZ 32", &Operands.Branch19, &Branch.Cbnz32, flags: RowFlags.Branch),
        new("1 011010 1 iiiiiiiiiiiiiiiiiii ttttt", "CBNZ 64", &Operands.Branch19, &Branch.Cbnz64, flags: RowFlags.Branch),
        new("b 011011 0 bbbbb iiiiiiiiiiiiii ttttt", "TBZ", &Operands.Branch14, &Branch.Tbz, flags: RowFlags.Branch),
        new("b 011011 1 bbbbb iiiiiiiiiiiiii ttttt", "TBNZ", &Operands.Branch14, &Branch.Tbnz, flags: RowFlags.Branch),
        new("1101011 0000 11111 000000 nnnnn 00000", "BR", &Operands.Registers, &Branch.Br, flags: RowFlags.Branch),
        new("1101011 0001 11111 000000 nnnnn 00000", "BLR", &Operands.Registers, &Branch.Blr, flags: RowFlags.Branch),
        new("1101011 0010 11111 000000 nnnnn 00000", "RET", &Operands.Registers, &Branch.Br, flags: RowFlags.Branch),
    ];
}
