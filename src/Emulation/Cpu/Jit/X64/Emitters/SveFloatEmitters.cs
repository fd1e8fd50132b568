using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Floating point of SVE in single and double precision, element by element, under the conditions of <see cref="FloatChecks"/>. Where an
/// active element does not meet those of its result, the whole instruction is left to the interpreter. XMM0 is the result of a piece, XMM1
/// ones where an element is to be left.
/// </summary>
internal static unsafe class SveFloatEmitters
{
    /// <summary>All pieces are made before one is written: each may leave.</summary>
    public static void Operate(BlockEmitter e, Op* op, SveOp what)
    {
        e.Flags.GiveUp();
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            if (Piece(e, op, what, i))
            {
                LeaveWhereActive(e, op, what, i);
            }

            SveShapeEmitters.Merge(e, op, what.Predication, i);
            e.Asm.StoreXmm(HostRegisters.ScalableRoom(i * ScalableRegisters.LowBytes), 0);
        }

        for (int i = e.Scalable.Pieces - 1; i >= 0; i--)
        {
            // The last piece is in XMM0 still.
            if (i != e.Scalable.Pieces - 1)
            {
                e.Asm.LoadXmm(0, HostRegisters.ScalableRoom(i * ScalableRegisters.LowBytes));
            }

            e.Scalable.Write(op->Rd, i, 0);
        }
    }

    // Leaves where XMM1 has ones at an active element. Uses XMM2 and RDX.
    private static void LeaveWhereActive(BlockEmitter e, Op* op, SveOp what, int piece)
    {
        if (what.Predication == SvePredication.Merging)
        {
            e.Scalable.Mask(2, op->Shift, piece, op->Extra);
            e.Asm.Packed(Packed.And, 1, 2);
        }

        FloatingPointVectorEmitters.LeaveWhereSet(e, op, 1, ScalableRegisters.LowBytes);
    }

    // Makes a piece. False where nothing of it can be left.
    private static bool Piece(BlockEmitter e, Op* op, SveOp what, int piece)
    {
        bool isDouble = op->Extra == 3;
        int m = SveShapeEmitters.Second(e, op, what, piece);
        int n = e.Scalable.Read(op->Rn, piece, 2);
        (n, m) = what.Swap ? (m, n) : (n, m);
        switch (what.Shape)
        {
            case SveShape.Arithmetic or SveShape.FloatDifference:
                e.Asm.PackedScalar((Scalar)what.Argument, isDouble, 0, n, m);
                FloatingPointVectorEmitters.FindRare(e, isDouble, (Scalar)what.Argument is Scalar.Multiply or Scalar.Divide);
                if (what.Shape == SveShape.FloatDifference)
                {
                    SimdSequences.Constant(e, 2, ~SimdSequences.SignBits(op->Extra));
                    e.Asm.Packed(Packed.And, 0, 2);
                }

                return true;
            case SveShape.Fused:
                e.Asm.CopyXmm(0, e.Scalable.Read(op->Ra, piece, 0));
                e.Asm.PackedFused((Fused)what.Argument, isDouble, 0, n, m);
                FloatingPointVectorEmitters.FindRare(e, isDouble, mayUnderflow: true);
                return true;
            case SveShape.Extreme:
                Extreme(e, op, what, n, m, piece);
                return false;
            case SveShape.SquareRoot:
                e.Asm.PackedScalar(Scalar.SquareRoot, isDouble, 0, n, n);
                FloatingPointVectorEmitters.FindRare(e, isDouble, mayUnderflow: false);
                return true;
            case SveShape.Round:
                e.Asm.PackedRound(isDouble, 0, n, what.Argument | 8);
                FloatingPointVectorEmitters.FindRare(e, isDouble, mayUnderflow: false);
                return true;
            case SveShape.Lengthen:
                e.Asm.ShuffleWords(0, n, 0x08);
                e.Asm.ConvertPair(fromDouble: false, 0, 0);
                FloatingPointVectorEmitters.FindRare(e, isDouble: true, mayUnderflow: false);
                return true;
            case SveShape.Shorten:
                e.Asm.ConvertPair(fromDouble: true, 0, n);
                FloatingPointVectorEmitters.FindRare(e, isDouble: false, mayUnderflow: true);
                SpreadWords(e, Packed.ZeroExtendS);
                return true;
            default:
                return Convert(e, what.Shape, n, isDouble);
        }
    }

    // Words at the low end of XMM0 and XMM1 become doublewords, the former extended so.
    private static void SpreadWords(BlockEmitter e, Packed extension)
    {
        e.Asm.PackedOne(extension, 0, (Reg)0);
        e.Asm.PackedOne(Packed.SignExtendS, 1, (Reg)1);
    }

    // XMM0 = a maximum or a minimum. Leaves for NaNs of active elements. With an immediate XMM3 stays. Uses XMM1 to XMM3 and RDX.
    private static void Extreme(BlockEmitter e, Op* op, SveOp what, int n, int m, int piece)
    {
        bool isDouble = op->Extra == 3;
        bool max = (Scalar)what.Argument == Scalar.Maximum;
        bool immediate = what.Second == SveSecond.Immediate;
        int mask = immediate ? 1 : 3;
        e.Asm.PackedCompare(FloatCondition.Unordered, isDouble, 0, n, m);
        e.Scalable.Mask(mask, op->Shift, piece, op->Extra);
        e.Asm.Packed(Packed.And, 0, mask);
        FloatingPointVectorEmitters.LeaveWhereSet(e, op, 0, ScalableRegisters.LowBytes);
        if (immediate)
        {
            // The host gives the second of two zeros. The immediate is not -0.
            e.Asm.PackedScalar((Scalar)what.Argument, isDouble, 0, max ? n : m, max ? m : n);
            return;
        }

        // Where two elements are equal they differ at most in the sign of zero: AND makes a maximum of them, OR a minimum.
        e.Asm.PackedScalar((Scalar)what.Argument, isDouble, 0, n, m);
        e.Asm.PackedCompare(FloatCondition.Equal, isDouble, 3, n, m);
        e.Asm.Packed(max ? Packed.And : Packed.Or, 2, n, m);
        e.Asm.Blend(0, 0, 2, 3);
    }

    // XMM0 = n from integers or as integers, towards zero. The host has signed integers alone: unsigned ones with the top bit set leave,
    // and so does the least integer, which stands for no result, too. False where nothing can be left.
    private static bool Convert(BlockEmitter e, SveShape shape, int n, bool isDouble)
    {
        switch (shape)
        {
            case SveShape.FromWords:
                e.Asm.ShuffleWords(0, n, 0x08);
                e.Asm.WordsToDoubles(0, 0);
                return false;
            case SveShape.ToWords:
                e.Asm.DoublesToWords(0, n);
                SimdSequences.Constant(e, 1, SimdSequences.SignBits(2));
                e.Asm.Packed(Packed.EqualS, 1, 0);
                SpreadWords(e, Packed.SignExtendS);
                return true;
            case SveShape.FromSigned or SveShape.FromUnsigned:
                if (shape == SveShape.FromUnsigned)
                {
                    FindNegative(e, n, isDouble);
                }

                FromIntegers(e, n, isDouble);
                return shape == SveShape.FromUnsigned;
        }

        ToIntegers(e, n, isDouble);
        if (shape == SveShape.ToUnsigned)
        {
            FindNegative(e, 0, isDouble);
        }
        else
        {
            SimdSequences.Constant(e, 1, SimdSequences.SignBits(isDouble ? 3 : 2));
            e.Asm.Packed(isDouble ? Packed.EqualD : Packed.EqualS, 1, 0);
        }

        return true;
    }

    // XMM1 = ones where an integer is negative.
    private static void FindNegative(BlockEmitter e, int register, bool isDouble)
    {
        e.Asm.Packed(Packed.Xor, 1, 1);
        e.Asm.Packed(isDouble ? Packed.GreaterD : Packed.GreaterS, 1, register);
    }

    // The host converts doublewords one by one. Uses XMM3 and RDX.
    private static void FromIntegers(BlockEmitter e, int n, bool isDouble)
    {
        if (!isDouble)
        {
            e.Asm.WordsToSingles(0, n);
            return;
        }

        e.Asm.StoreXmmGeneral(true, Rdx, n);
        e.Asm.Packed(Packed.Xor, 0, 0);
        e.Asm.IntegerToScalar(true, true, 0, Rdx);
        e.Asm.ExtractElement(3, Rdx, n, 1);
        e.Asm.Packed(Packed.Xor, 3, 3);
        e.Asm.IntegerToScalar(true, true, 3, Rdx);
        e.Asm.Packed(Packed.UnpackLowD, 0, 3);
    }

    private static void ToIntegers(BlockEmitter e, int n, bool isDouble)
    {
        if (!isDouble)
        {
            e.Asm.SinglesToWords(0, n);
            return;
        }

        e.Asm.ShuffleWords(3, n, 0xEE);
        e.Asm.ScalarToInteger(true, true, Rdx, n);
        e.Asm.LoadXmmGeneral(true, 0, Rdx);
        e.Asm.ScalarToInteger(true, true, Rdx, 3);
        e.Asm.InsertElement(3, 0, 0, Rdx, 1);
    }
}
