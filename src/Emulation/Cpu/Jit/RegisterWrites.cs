using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Which general registers an instruction may write.</summary>
internal static unsafe class RegisterWrites
{
    private enum Kind : byte
    {
        /// <summary>It is not told.</summary>
        Any,
        None,
        Destination,
        DestinationPair,
        Base,
        DestinationAndBase,
        DestinationPairAndBase,
        Status,
        Old,
        Link,
    }

    private static readonly Kind[] s_kinds = [.. EncodingTable.Rows.Select(Of)];

    /// <summary>Whether an instruction may write a slot of <see cref="CpuState.X"/>.</summary>
    public static bool MayWrite(Op* op, int slot) => s_kinds[op->Row] switch
    {
        Kind.None => false,
        Kind.Destination => op->Rd == slot,
        Kind.DestinationPair => op->Rd == slot || op->Ra == slot,
        Kind.Base => op->Rn == slot,
        Kind.DestinationAndBase => op->Rd == slot || op->Rn == slot,
        Kind.DestinationPairAndBase => op->Rd == slot || op->Ra == slot || op->Rn == slot,
        Kind.Status => op->Rm == slot,
        Kind.Old => op->Ra == slot,
        Kind.Link => slot == 30,
        _ => true,
    };

    private static Kind Of(EncodingRow row)
    {
        string name = row.Mnemonic.Split(' ')[0];
        bool vector = (row.Flags & RowFlags.FpSimd) != 0;
        if ((row.Flags & RowFlags.Memory) != 0)
        {
            bool index = row.Mnemonic.Contains("-index)", StringComparison.Ordinal);
            return name switch
            {
                "STR" or "STRB" or "STRH" or "STUR" or "STURB" or "STURH" or "STTR" or "STTRB" or "STTRH" or "STP" or "STNP" or "STLR" or "STLRB" or "STLRH"
                    => index ? Kind.Base : Kind.None,
                "LDR" or "LDUR" or "LDP" or "LDNP" when vector => index ? Kind.Base : Kind.None,
                "LDR" or "LDRB" or "LDRH" or "LDRSB" or "LDRSH" or "LDRSW" or "LDUR" or "LDURB" or "LDURH" or "LDURSB" or "LDURSH" or "LDURSW"
                    => index ? Kind.DestinationAndBase : Kind.Destination,
                "LDP" or "LDNP" or "LDPSW" => index ? Kind.DestinationPairAndBase : Kind.DestinationPair,
                _ when vector => Kind.Any,
                "CAS" or "CASB" or "CASH" => Kind.Old,
                "CASP" => Kind.Any,
                "LDXP" or "LDAXP" => Kind.DestinationPair,
                _ when name.StartsWith("STX", StringComparison.Ordinal) || name.StartsWith("STLX", StringComparison.Ordinal) => Kind.Status,
                _ when name.StartsWith("LD", StringComparison.Ordinal) || name.StartsWith("SWP", StringComparison.Ordinal) => Kind.Destination,
                _ => Kind.Any,
            };
        }

        if ((row.Flags & RowFlags.Branch) != 0)
        {
            return name switch
            {
                "BL" or "BLR" => Kind.Link,
                "B" or "BR" or "RET" or "B.cond" or "CBZ" or "CBNZ" or "TBZ" or "TBNZ" => Kind.None,
                _ => Kind.Any,
            };
        }

        switch (name)
        {
            case "HINT" or "YIELD" or "PRFM" or "DMB" or "DSB" or "ISB" or "CLREX":
                return Kind.None;
            case "MRS":
                return Kind.Destination;
            case "MSR" when row.Mnemonic is "MSR (register)" or "MSR DAIFSet" or "MSR DAIFClr":
                // SP_EL0 is not the stack pointer where it can be written.
                return Kind.None;
        }

        // Of a vector instruction Rd may be a general register.
        return (row.Flags & RowFlags.System) != 0 ? Kind.Any : Kind.Destination;
    }
}
