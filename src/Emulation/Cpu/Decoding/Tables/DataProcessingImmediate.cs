using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>Data Processing — Immediate (Arm ARM C4.1.93).</summary>
internal static unsafe class DataProcessingImmediate
{
    // DecodeBitMasks: all ones in an element, or no element size at all.
    private static readonly string[] ReservedMask =
    [
        "x xx xxxxxx 1 xxxxxx 111111 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 011111 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 101111 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 110111 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 111011 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 111101 xxxxx xxxxx",
        "x xx xxxxxx 0 xxxxxx 11111x xxxxx xxxxx",
    ];

    public static readonly EncodingRow[] Rows =
    [
        new("0 ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "ADR", Operation.Adr, WriteRd, &Operands.PcRelative, &IntegerImmediate.Adr),
        new("1 ii 10000 iiiiiiiiiiiiiiiiiii ddddd", "ADRP", Operation.Adrp, WriteRd, &Operands.PcRelative, &IntegerImmediate.Adrp),

        new("0 0 0 100010 s iiiiiiiiiiii nnnnn ddddd", "ADD (immediate) 32", Operation.AddImmediate, WriteRd | ReadRn,
            &Operands.AddSubImmediate, &IntegerImmediate.Add32),
        new("1 0 0 100010 s iiiiiiiiiiii nnnnn ddddd", "ADD (immediate) 64", Operation.AddImmediate, WriteRd | ReadRn,
            &Operands.AddSubImmediate, &IntegerImmediate.Add64),
        new("0 0 1 100010 s iiiiiiiiiiii nnnnn ddddd", "ADDS (immediate) 32", Operation.AddsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.AddSubImmediateFlags, &IntegerImmediate.Adds32),
        new("1 0 1 100010 s iiiiiiiiiiii nnnnn ddddd", "ADDS (immediate) 64", Operation.AddsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.AddSubImmediateFlags, &IntegerImmediate.Adds64),
        new("0 1 0 100010 s iiiiiiiiiiii nnnnn ddddd", "SUB (immediate) 32", Operation.SubImmediate, WriteRd | ReadRn,
            &Operands.AddSubImmediate, &IntegerImmediate.Sub32),
        new("1 1 0 100010 s iiiiiiiiiiii nnnnn ddddd", "SUB (immediate) 64", Operation.SubImmediate, WriteRd | ReadRn,
            &Operands.AddSubImmediate, &IntegerImmediate.Sub64),
        new("0 1 1 100010 s iiiiiiiiiiii nnnnn ddddd", "SUBS (immediate) 32", Operation.SubsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.AddSubImmediateFlags, &IntegerImmediate.Subs32),
        new("1 1 1 100010 s iiiiiiiiiiii nnnnn ddddd", "SUBS (immediate) 64", Operation.SubsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.AddSubImmediateFlags, &IntegerImmediate.Subs64),

        new("0 00 100100 0 rrrrrr iiiiii nnnnn ddddd", "AND (immediate) 32", Operation.AndImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.And32, except: ReservedMask),
        new("1 00 100100 N rrrrrr iiiiii nnnnn ddddd", "AND (immediate) 64", Operation.AndImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.And64, except: ReservedMask),
        new("0 01 100100 0 rrrrrr iiiiii nnnnn ddddd", "ORR (immediate) 32", Operation.OrrImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.Orr32, except: ReservedMask),
        new("1 01 100100 N rrrrrr iiiiii nnnnn ddddd", "ORR (immediate) 64", Operation.OrrImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.Orr64, except: ReservedMask),
        new("0 10 100100 0 rrrrrr iiiiii nnnnn ddddd", "EOR (immediate) 32", Operation.EorImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.Eor32, except: ReservedMask),
        new("1 10 100100 N rrrrrr iiiiii nnnnn ddddd", "EOR (immediate) 64", Operation.EorImmediate, WriteRd | ReadRn,
            &Operands.LogicalImmediate, &IntegerImmediate.Eor64, except: ReservedMask),
        new("0 11 100100 0 rrrrrr iiiiii nnnnn ddddd", "ANDS (immediate) 32", Operation.AndsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.LogicalImmediateFlags, &IntegerImmediate.Ands32, except: ReservedMask),
        new("1 11 100100 N rrrrrr iiiiii nnnnn ddddd", "ANDS (immediate) 64", Operation.AndsImmediate, WriteRd | ReadRn | WriteFlags,
            &Operands.LogicalImmediateFlags, &IntegerImmediate.Ands64, except: ReservedMask),

        new("0 00 100101 0h iiiiiiiiiiiiiiii ddddd", "MOVN 32", Operation.Movn, WriteRd, &Operands.MoveWide, &IntegerImmediate.Movn32),
        new("1 00 100101 hh iiiiiiiiiiiiiiii ddddd", "MOVN 64", Operation.Movn, WriteRd, &Operands.MoveWide, &IntegerImmediate.Movn64),
        new("0 10 100101 0h iiiiiiiiiiiiiiii ddddd", "MOVZ 32", Operation.Movz, WriteRd, &Operands.MoveWide, &IntegerImmediate.Movz),
        new("1 10 100101 hh iiiiiiiiiiiiiiii ddddd", "MOVZ 64", Operation.Movz, WriteRd, &Operands.MoveWide, &IntegerImmediate.Movz),
        new("0 11 100101 0h iiiiiiiiiiiiiiii ddddd", "MOVK 32", Operation.Movk, ReadRd | WriteRd, &Operands.MoveWide,
            &IntegerImmediate.Movk32),
        new("1 11 100101 hh iiiiiiiiiiiiiiii ddddd", "MOVK 64", Operation.Movk, ReadRd | WriteRd, &Operands.MoveWide,
            &IntegerImmediate.Movk64),

        new("0 00 100110 0 0rrrrr 0sssss nnnnn ddddd", "SBFM 32", Operation.Sbfm, WriteRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Sbfm32),
        new("1 00 100110 1 rrrrrr ssssss nnnnn ddddd", "SBFM 64", Operation.Sbfm, WriteRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Sbfm64),
        new("0 01 100110 0 0rrrrr 0sssss nnnnn ddddd", "BFM 32", Operation.Bfm, WriteRd | ReadRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Bfm32),
        new("1 01 100110 1 rrrrrr ssssss nnnnn ddddd", "BFM 64", Operation.Bfm, WriteRd | ReadRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Bfm64),
        new("0 10 100110 0 0rrrrr 0sssss nnnnn ddddd", "UBFM 32", Operation.Ubfm, WriteRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Ubfm32),
        new("1 10 100110 1 rrrrrr ssssss nnnnn ddddd", "UBFM 64", Operation.Ubfm, WriteRd | ReadRn, &Operands.Bitfield,
            &IntegerImmediate.Ubfm64),

        new("0 00 100111 0 0 mmmmm 0sssss nnnnn ddddd", "EXTR 32", Operation.Extr, WriteRd | ReadRn | ReadRm, &Operands.Bitfield,
            &IntegerImmediate.Extr32),
        new("1 00 100111 1 0 mmmmm ssssss nnnnn ddddd", "EXTR 64", Operation.Extr, WriteRd | ReadRn | ReadRm, &Operands.Bitfield,
            &IntegerImmediate.Extr64),
    ];
}
