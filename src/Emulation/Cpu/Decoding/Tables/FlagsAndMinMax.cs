using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>
/// Integer instructions that came after Armv8.0 (Arm ARM C4.1.93 and C4.1.95): FEAT_FlagM on registers, and FEAT_CSSC. Those of FEAT_FlagM
/// without a register are in <see cref="SystemTable"/>.
/// </summary>
internal static unsafe class FlagsAndMinMax
{
    public static readonly EncodingRow[] Rows =
    [
        new("1 01 11010000 iiiiii 00001 nnnnn 0 kkkk", "RMIF", Operation.Rmif, ReadRn | ReadFlags | WriteFlags,
            &Operands.FlagsOfRegister, &FlagManipulation.RotateMaskInsert, Feature.FlagM),
        new("0 01 11010000 000000 0 0010 nnnnn 0 1101", "SETF8", Operation.Setf8, ReadRn | ReadFlags | WriteFlags,
            &Operands.FlagsOfRegister, &FlagManipulation.Evaluate8, Feature.FlagM),
        new("0 01 11010000 000000 1 0010 nnnnn 0 1101", "SETF16", Operation.Setf16, ReadRn | ReadFlags | WriteFlags,
            &Operands.FlagsOfRegister, &FlagManipulation.Evaluate16, Feature.FlagM),

        new("0 1 0 11010110 00000 001000 nnnnn ddddd", "ABS (general) 32", Operation.AbsGeneral, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.Absolute32, Feature.Cssc),
        new("0 1 0 11010110 00000 000111 nnnnn ddddd", "CNT (general) 32", Operation.CntGeneral, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.CountOnes32, Feature.Cssc),
        new("0 1 0 11010110 00000 000110 nnnnn ddddd", "CTZ 32", Operation.Ctz, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.CountTrailingZeros32, Feature.Cssc),
        new("1 1 0 11010110 00000 001000 nnnnn ddddd", "ABS (general) 64", Operation.AbsGeneral, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.Absolute64, Feature.Cssc),
        new("1 1 0 11010110 00000 000111 nnnnn ddddd", "CNT (general) 64", Operation.CntGeneral, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.CountOnes64, Feature.Cssc),
        new("1 1 0 11010110 00000 000110 nnnnn ddddd", "CTZ 64", Operation.Ctz, WriteRd | ReadRn, &Operands.Registers,
            &IntegerMinMax.CountTrailingZeros64, Feature.Cssc),
        new("0 0 0 11010110 mmmmm 011000 nnnnn ddddd", "SMAX (register) 32", Operation.SmaxGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain32<Smax>, Feature.Cssc),
        new("0 0 0 100011 1 0000 iiiiiiii nnnnn ddddd", "SMAX (immediate) 32", Operation.SmaxImmediate, WriteRd | ReadRn,
            &Operands.SignedImmediate8, &IntegerMinMax.Immediate32<Smax>, Feature.Cssc),
        new("1 0 0 11010110 mmmmm 011000 nnnnn ddddd", "SMAX (register) 64", Operation.SmaxGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain64<Smax>, Feature.Cssc),
        new("1 0 0 100011 1 0000 iiiiiiii nnnnn ddddd", "SMAX (immediate) 64", Operation.SmaxImmediate, WriteRd | ReadRn,
            &Operands.SignedImmediate8, &IntegerMinMax.Immediate64<Smax>, Feature.Cssc),
        new("0 0 0 11010110 mmmmm 011001 nnnnn ddddd", "UMAX (register) 32", Operation.UmaxGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain32<Umax>, Feature.Cssc),
        new("0 0 0 100011 1 0001 iiiiiiii nnnnn ddddd", "UMAX (immediate) 32", Operation.UmaxImmediate, WriteRd | ReadRn,
            &Operands.UnsignedImmediate8, &IntegerMinMax.Immediate32<Umax>, Feature.Cssc),
        new("1 0 0 11010110 mmmmm 011001 nnnnn ddddd", "UMAX (register) 64", Operation.UmaxGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain64<Umax>, Feature.Cssc),
        new("1 0 0 100011 1 0001 iiiiiiii nnnnn ddddd", "UMAX (immediate) 64", Operation.UmaxImmediate, WriteRd | ReadRn,
            &Operands.UnsignedImmediate8, &IntegerMinMax.Immediate64<Umax>, Feature.Cssc),
        new("0 0 0 11010110 mmmmm 011010 nnnnn ddddd", "SMIN (register) 32", Operation.SminGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain32<Smin>, Feature.Cssc),
        new("0 0 0 100011 1 0010 iiiiiiii nnnnn ddddd", "SMIN (immediate) 32", Operation.SminImmediate, WriteRd | ReadRn,
            &Operands.SignedImmediate8, &IntegerMinMax.Immediate32<Smin>, Feature.Cssc),
        new("1 0 0 11010110 mmmmm 011010 nnnnn ddddd", "SMIN (register) 64", Operation.SminGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain64<Smin>, Feature.Cssc),
        new("1 0 0 100011 1 0010 iiiiiiii nnnnn ddddd", "SMIN (immediate) 64", Operation.SminImmediate, WriteRd | ReadRn,
            &Operands.SignedImmediate8, &IntegerMinMax.Immediate64<Smin>, Feature.Cssc),
        new("0 0 0 11010110 mmmmm 011011 nnnnn ddddd", "UMIN (register) 32", Operation.UminGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain32<Umin>, Feature.Cssc),
        new("0 0 0 100011 1 0011 iiiiiiii nnnnn ddddd", "UMIN (immediate) 32", Operation.UminImmediate, WriteRd | ReadRn,
            &Operands.UnsignedImmediate8, &IntegerMinMax.Immediate32<Umin>, Feature.Cssc),
        new("1 0 0 11010110 mmmmm 011011 nnnnn ddddd", "UMIN (register) 64", Operation.UminGeneral, WriteRd | ReadRn | ReadRm,
            &Operands.Registers, &IntegerRegister.Plain64<Umin>, Feature.Cssc),
        new("1 0 0 100011 1 0011 iiiiiiii nnnnn ddddd", "UMIN (immediate) 64", Operation.UminImmediate, WriteRd | ReadRn,
            &Operands.UnsignedImmediate8, &IntegerMinMax.Immediate64<Umin>, Feature.Cssc),
    ];
}
