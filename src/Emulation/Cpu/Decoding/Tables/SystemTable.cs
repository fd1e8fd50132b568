using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Exception generation, system instructions, hints and barriers (Arm ARM C4.1.94).</summary>
internal static unsafe class SystemTable
{
    public static readonly EncodingRow[] Rows =
    [
        new("11010100 000 iiiiiiiiiiiiiiii 000 01", "SVC", Operation.Svc, Unknown, &Operands.None, &SystemInstructions.Svc),
        new("11010100 000 iiiiiiiiiiiiiiii 000 10", "HVC", Operation.Hvc, Unknown, &Operands.None, &SystemInstructions.Hvc),
        new("11010100 000 iiiiiiiiiiiiiiii 000 11", "SMC", Operation.Smc, Unknown, &Operands.None, &SystemInstructions.Smc),
        new("11010100 001 iiiiiiiiiiiiiiii 000 00", "BRK", Operation.Brk, Unknown, &Operands.None, &SystemInstructions.Brk),
        new("1101011 0100 11111 000000 11111 00000", "ERET", Operation.Eret, Unknown, &Operands.None, &SystemInstructions.Eret),

        // The hint space: all but these are NOPs, also those of features the model lacks.
        new("1101010100 0 00 011 0010 mmmm ooo 11111", "HINT", Operation.Hint, None, &Operands.None, &LoadStore.Nothing,
            except:
            [
                "1101010100 0 00 011 0010 0000 001 11111", "1101010100 0 00 011 0010 0000 010 11111",
                "1101010100 0 00 011 0010 0000 011 11111", "1101010100 0 00 011 0010 0000 100 11111",
                "1101010100 0 00 011 0010 0000 101 11111", "1101010100 0 00 011 0010 0000 111 11111",
                "1101010100 0 00 011 0010 0001 0k0 11111", "1101010100 0 00 011 0010 0001 1k0 11111",
                "1101010100 0 00 011 0010 0011 ooo 11111",
            ]),
        new("1101010100 0 00 011 0010 0000 001 11111", "YIELD", Operation.Yield, SystemState, &Operands.None, &SystemInstructions.Yield),
        new("1101010100 0 00 011 0010 0000 010 11111", "WFE", Operation.Wfe, Unknown, &Operands.None, &SystemInstructions.Wfe),
        new("1101010100 0 00 011 0010 0000 011 11111", "WFI", Operation.Wfi, Unknown, &Operands.None, &SystemInstructions.Wfi),
        new("1101010100 0 00 011 0010 0000 100 11111", "SEV", Operation.Sev, LocalState, &Operands.None, &SystemInstructions.Sev),
        new("1101010100 0 00 011 0010 0000 101 11111", "SEVL", Operation.Sevl, LocalState, &Operands.None, &SystemInstructions.Sev),

        new("1101010100 0 00 011 0011 mmmm 010 11111", "CLREX", Operation.Clrex, LocalState, &Operands.None, &SystemInstructions.Clrex),
        new("1101010100 0 00 011 0011 mmmm 100 11111", "DSB", Operation.Dsb, LocalState, &Operands.None, &SystemInstructions.Dsb),
        new("1101010100 0 00 011 0011 mmmm 101 11111", "DMB", Operation.Dmb, None, &Operands.None, &SystemInstructions.Dmb),
        new("1101010100 0 00 011 0011 mmmm 110 11111", "ISB", Operation.Isb, LocalState, &Operands.None, &SystemInstructions.Isb),

        // Nothing is executed out of order.
        new("1101010100 0 00 011 0011 0000 111 11111", "SB", Operation.Sb, None, &Operands.None, &LoadStore.Nothing, Feature.Sb),
        new("1101010100 0 00 011 0001 0000 000 ttttt", "WFET", Operation.Wfet, Unknown, &Operands.Timeout, &SystemInstructions.Wfet,
            Feature.Wfxt),
        new("1101010100 0 00 011 0001 0000 001 ttttt", "WFIT", Operation.Wfit, Unknown, &Operands.Timeout, &SystemInstructions.Wfit,
            Feature.Wfxt),

        new("1101010100 0 00 000 0100 0000 000 11111", "CFINV", Operation.Cfinv, ReadFlags | WriteFlags, &Operands.None,
            &FlagManipulation.InvertCarry, Feature.FlagM),
        new("1101010100 0 00 000 0100 0000 001 11111", "XAFLAG", Operation.Xaflag, ReadFlags | WriteFlags, &Operands.None,
            &FlagManipulation.FromExternal, Feature.FlagM2),
        new("1101010100 0 00 000 0100 0000 010 11111", "AXFLAG", Operation.Axflag, ReadFlags | WriteFlags, &Operands.None,
            &FlagManipulation.ToExternal, Feature.FlagM2),
        new("1101010100 0 00 000 0100 mmmm 101 11111", "MSR SPSel", Operation.MsrSPSel, Unknown, &Operands.None,
            &SystemInstructions.MsrSpSel),
        new("1101010100 0 00 000 0100 mmmm 011 11111", "MSR UAO (immediate)", Operation.MsrUaoImmediate, Unknown, &Operands.None,
            &SystemInstructions.MsrUao, Feature.Uao),
        new("1101010100 0 00 000 0100 mmmm 100 11111", "MSR PAN (immediate)", Operation.MsrPanImmediate, Unknown, &Operands.None,
            &SystemInstructions.MsrPan, Feature.Pan),
        new("1101010100 0 00 011 0100 mmmm 001 11111", "MSR SSBS (immediate)", Operation.MsrSsbsImmediate, Unknown, &Operands.None,
            &SystemInstructions.MsrSsbs, Feature.Ssbs),
        new("1101010100 0 00 011 0100 mmmm 010 11111", "MSR DIT (immediate)", Operation.MsrDitImmediate, SystemState, &Operands.None,
            &SystemInstructions.MsrDit, Feature.Dit),
        new("1101010100 0 00 011 0100 mmmm 110 11111", "MSR DAIFSet", Operation.MsrDAIFSet, ReadFlags | SystemState, &Operands.None,
            &SystemInstructions.MsrDaifSet),
        new("1101010100 0 00 011 0100 mmmm 111 11111", "MSR DAIFClr", Operation.MsrDAIFClr, ReadFlags | SystemState, &Operands.None,
            &SystemInstructions.MsrDaifClear),

        new("1101010100 0 01 ooo nnnn mmmm ppp ttttt", "SYS", Operation.Sys, Unknown, &Operands.SystemRegister, &SystemInstructions.Sys),
        new("1101010100 0 1o ooo nnnn mmmm ppp ttttt", "MSR (register)", Operation.MsrRegister,
            ReadRn | ReadFlags | WriteFlags | SystemState, &Operands.SystemRegister, &SystemInstructions.Msr),
        new("1101010100 1 1o ooo nnnn mmmm ppp ttttt", "MRS", Operation.Mrs, WriteRd | ReadFlags | WriteFlags | SystemState,
            &Operands.SystemRegister, &SystemInstructions.Mrs),
    ];
}
