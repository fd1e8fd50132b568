using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Exception generation, system instructions, hints and barriers (Arm ARM C4.1.94).</summary>
internal static unsafe class SystemTable
{
    public static readonly EncodingRow[] Rows =
    [
        new("11010100 000 iiiiiiiiiiiiiiii 000 01", "SVC", &Operands.None, &SystemInstructions.Svc, flags: RowFlags.System),
        new("11010100 000 iiiiiiiiiiiiiiii 000 10", "HVC", &Operands.None, &SystemInstructions.Hvc, flags: RowFlags.System),
        new("11010100 000 iiiiiiiiiiiiiiii 000 11", "SMC", &Operands.None, &SystemInstructions.Smc, flags: RowFlags.System),
        new("11010100 001 iiiiiiiiiiiiiiii 000 00", "BRK", &Operands.None, &SystemInstructions.Brk, flags: RowFlags.System),
        new("1101011 0100 11111 000000 11111 00000", "ERET", &Operands.None, &SystemInstructions.Eret, flags: RowFlags.System | RowFlags.Branch),

        // The hint space: all but these are NOPs, also those of features the model lacks.
        new("1101010100 0 00 011 0010 mmmm ooo 11111", "HINT", &Operands.None, &LoadStore.Nothing, except:
        [
            "1101010100 0 00 011 0010 0000 001 11111", "1101010100 0 00 011 0010 0000 010 11111", "1101010100 0 00 011 0010 0000 011 11111",
            "1101010100 0 00 011 0010 0000 100 11111", "1101010100 0 00 011 0010 0000 101 11111",
        ]),
        new("1101010100 0 00 011 0010 0000 001 11111", "YIELD", &Operands.None, &SystemInstructions.Yield, flags: RowFlags.System),
        new("1101010100 0 00 011 0010 0000 010 11111", "WFE", &Operands.None, &SystemInstructions.Wfe, flags: RowFlags.System),
        new("1101010100 0 00 011 0010 0000 011 11111", "WFI", &Operands.None, &SystemInstructions.Wfi, flags: RowFlags.System),
        new("1101010100 0 00 011 0010 0000 100 11111", "SEV", &Operands.None, &SystemInstructions.Sev),
        new("1101010100 0 00 011 0010 0000 101 11111", "SEVL", &Operands.None, &SystemInstructions.Sev),

        new("1101010100 0 00 011 0011 mmmm 010 11111", "CLREX", &Operands.None, &SystemInstructions.Clrex),
        new("1101010100 0 00 011 0011 mmmm 100 11111", "DSB", &Operands.None, &SystemInstructions.Dsb),
        new("1101010100 0 00 011 0011 mmmm 101 11111", "DMB", &Operands.None, &SystemInstructions.Dmb),
        new("1101010100 0 00 011 0011 mmmm 110 11111", "ISB", &Operands.None, &SystemInstructions.Isb),

        new("1101010100 0 00 000 0100 mmmm 101 11111", "MSR SPSel", &Operands.None, &SystemInstructions.MsrSpSel, flags: RowFlags.System),
        new("1101010100 0 00 000 0100 mmmm 011 11111", "MSR UAO (immediate)", &Operands.None, &SystemInstructions.MsrUao, Feature.Uao, RowFlags.System),
        new("1101010100 0 00 000 0100 mmmm 100 11111", "MSR PAN (immediate)", &Operands.None, &SystemInstructions.MsrPan, Feature.Pan, RowFlags.System),
        new("1101010100 0 00 011 0100 mmmm 001 11111", "MSR SSBS (immediate)", &Operands.None, &SystemInstructions.MsrSsbs, Feature.Ssbs, RowFlags.System),
        new("1101010100 0 00 011 0100 mmmm 110 11111", "MSR DAIFSet", &Operands.None, &SystemInstructions.MsrDaifSet, flags: RowFlags.System),
        new("1101010100 0 00 011 0100 mmmm 111 11111", "MSR DAIFClr", &Operands.None, &SystemInstructions.MsrDaifClear, flags: RowFlags.System),

        new("1101010100 0 01 ooo nnnn mmmm ppp ttttt", "SYS", &Operands.SystemRegister, &SystemInstructions.Sys, flags: RowFlags.System),
        new("1101010100 0 1o ooo nnnn mmmm ppp ttttt", "MSR (register)", &Operands.SystemRegister, &SystemInstructions.Msr, flags: RowFlags.System),
        new("1101010100 1 1o ooo nnnn mmmm ppp ttttt", "MRS", &Operands.SystemRegister, &SystemInstructions.Mrs, flags: RowFlags.System),
    ];
}
