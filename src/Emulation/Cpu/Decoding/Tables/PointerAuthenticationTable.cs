using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>
/// Pointer authentication (Arm ARM C4.1.94 to C4.1.96). The field <c>k</c> is the key. A model without the feature executes those of the
/// hint space as HINT.
/// </summary>
internal static unsafe class PointerAuthenticationTable
{
    public static readonly EncodingRow[] Rows =
    [
        new("1 1 0 11010110 00001 00 0 0 kk nnnnn ddddd", "PACIA, PACIB, PACDA, PACDB", Operation.PacGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.General, &PointerInstructions.Sign, Feature.Pauth),
        new("1 1 0 11010110 00001 00 1 0 kk 11111 ddddd", "PACIZA, PACIZB, PACDZA, PACDZB", Operation.PacGeneral,
            WriteRd | ReadRd | SystemState, &PointerInstructions.General, &PointerInstructions.Sign, Feature.Pauth),
        new("1 1 0 11010110 00001 00 0 1 kk nnnnn ddddd", "AUTIA, AUTIB, AUTDA, AUTDB", Operation.AutGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.General, &PointerInstructions.Authenticate, Feature.Pauth),
        new("1 1 0 11010110 00001 00 1 1 kk 11111 ddddd", "AUTIZA, AUTIZB, AUTDZA, AUTDZB", Operation.AutGeneral,
            WriteRd | ReadRd | SystemState, &PointerInstructions.General, &PointerInstructions.Authenticate, Feature.Pauth),
        new("1 1 0 11010110 00001 010000 11111 ddddd", "XPACI", Operation.Xpaci, WriteRd | ReadRd | SystemState,
            &PointerInstructions.General, &PointerInstructions.StripInstruction, Feature.Pauth),
        new("1 1 0 11010110 00001 010001 11111 ddddd", "XPACD", Operation.Xpacd, WriteRd | ReadRd | SystemState,
            &PointerInstructions.General, &PointerInstructions.StripData, Feature.Pauth),
        new("1 0 0 11010110 mmmmm 001100 nnnnn ddddd", "PACGA", Operation.Pacga, WriteRd | ReadRn | ReadRm | SystemState,
            &PointerInstructions.Generic, &PointerInstructions.GenericCode, Feature.Pauth),

        new("1101010100 0 00 011 0010 0001 0 k 0 11111", "PACIA1716, PACIB1716", Operation.PacGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.SeventeenBySixteen, &PointerInstructions.Sign, Feature.Pauth),
        new("1101010100 0 00 011 0010 0001 1 k 0 11111", "AUTIA1716, AUTIB1716", Operation.AutGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.SeventeenBySixteen, &PointerInstructions.Authenticate,
            Feature.Pauth),
        new("1101010100 0 00 011 0010 0011 0 k p 11111", "PACIAZ, PACIASP, PACIBZ, PACIBSP", Operation.PacGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.OfLink, &PointerInstructions.Sign, Feature.Pauth),
        new("1101010100 0 00 011 0010 0011 1 k p 11111", "AUTIAZ, AUTIASP, AUTIBZ, AUTIBSP", Operation.AutGeneral,
            WriteRd | ReadRd | ReadRn | SystemState, &PointerInstructions.OfLink, &PointerInstructions.Authenticate, Feature.Pauth),
        new("1101010100 0 00 011 0010 0000 111 11111", "XPACLRI", Operation.Xpaci, WriteRd | ReadRd | SystemState,
            &PointerInstructions.LinkAlone, &PointerInstructions.StripInstruction, Feature.Pauth),

        new("1101011 0 0 00 11111 0000 1 k nnnnn 11111", "BRAAZ, BRABZ", Operation.Braa, Unknown, &PointerInstructions.Branch,
            &PointerInstructions.Jump, Feature.Pauth),
        new("1101011 1 0 00 11111 0000 1 k nnnnn mmmmm", "BRAA, BRAB", Operation.Braa, Unknown, &PointerInstructions.Branch,
            &PointerInstructions.Jump, Feature.Pauth),
        new("1101011 0 0 01 11111 0000 1 k nnnnn 11111", "BLRAAZ, BLRABZ", Operation.Blraa, Unknown, &PointerInstructions.Branch,
            &PointerInstructions.Call, Feature.Pauth),
        new("1101011 1 0 01 11111 0000 1 k nnnnn mmmmm", "BLRAA, BLRAB", Operation.Blraa, Unknown, &PointerInstructions.Branch,
            &PointerInstructions.Call, Feature.Pauth),
        new("1101011 0 0 10 11111 0000 1 k 11111 11111", "RETAA, RETAB", Operation.Braa, Unknown, &PointerInstructions.Return,
            &PointerInstructions.ReturnTo, Feature.Pauth),
        new("1101011 0 1 00 11111 0000 1 k 11111 11111", "ERETAA, ERETAB", Operation.Eretaa, Unknown, &PointerInstructions.Return,
            &PointerInstructions.ExceptionReturn, Feature.Pauth),
        new("11 111 0 00 k s 1 iiiiiiiii w 1 nnnnn ttttt", "LDRAA, LDRAB", Operation.Ldraa, Unknown, &PointerInstructions.Load,
            &PointerInstructions.LoadAuthenticated, Feature.Pauth),
    ];
}
