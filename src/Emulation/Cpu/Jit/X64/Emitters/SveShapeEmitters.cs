using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Instructions of SVE that do one thing with each element, in pieces of 16 bytes. A piece of the result is made in XMM0, and depends on
/// the same piece of the sources alone, so a destination may be a source too. Floating point and comparisons are in files of their own.
/// </summary>
internal static unsafe class SveShapeEmitters
{
    public static bool Operate(BlockEmitter e, Op* op)
    {
        SveOp what = SveOperations.Of(op);
        if (Declines(op, what))
        {
            return false;
        }

        e.Floats.CheckScalable(op);
        MakeSourcesReal(e, op, what);
        if (what.IsFloat || what.Shape is SveShape.FloatCompare or SveShape.FloatCompareAbsolute)
        {
            bool isExact = what.IsComparison || what.Shape is SveShape.Extreme or SveShape.FromWords or SveShape.Lengthen;
            e.Floats.CheckArithmetic(op, rounds: !isExact);
        }
        else if (what.Shape is SveShape.FloatAbsolute or SveShape.FloatNegate)
        {
            e.Floats.CheckSign(op, e.Model);
        }

        if (what.IsFloat)
        {
            SveFloatEmitters.Operate(e, op, what);
        }
        else if (what.IsComparison)
        {
            SveCompareEmitters.Compare(e, op, what);
        }
        else
        {
            Integer(e, op, what);
        }

        return true;
    }

    // Whether there is no code for this size of elements.
    private static bool Declines(Op* op, SveOp what) => what.Shape switch
    {
        SveShape.Same or SveShape.Multiply or SveShape.MultiplyAdd or SveShape.MultiplySub or SveShape.Difference =>
            what.Operation.At(op->Extra) == Packed.None,
        SveShape.ShiftLeftEach or SveShape.ShiftRightEach => op->Extra < 2 || (op->Extra == 3 && what.Signed),
        SveShape.FloatCompare or SveShape.FloatCompareAbsolute => op->Extra < 2,
        _ => what.IsFloat && op->Extra < 2,
    };

    private static void MakeSourcesReal(BlockEmitter e, Op* op, SveOp what)
    {
        if (what.Shape != SveShape.Second)
        {
            e.Scalable.MakeReal(op->Rn);
        }

        if (what.Second is SveSecond.Register or SveSecond.Indexed)
        {
            e.Scalable.MakeReal(op->Rm);
        }

        if (what.Shape is SveShape.MultiplyAdd or SveShape.MultiplySub or SveShape.Fused or SveShape.ShiftRightAccumulate
            or SveShape.ExclusiveOrThree or SveShape.ClearAndExclusiveOr or SveShape.Select)
        {
            e.Scalable.MakeReal(op->Ra);
        }

        if (what.Predication == SvePredication.Merging)
        {
            e.Scalable.MakeReal(op->Rd);
        }
    }

    /// <summary>
    /// A register with a piece of the second source: its own, or XMM1; XMM3, which stays, with an immediate; -1 for none. Uses RDX.
    /// </summary>
    public static int Second(BlockEmitter e, Op* op, SveOp what, int piece)
    {
        switch (what.Second)
        {
            case SveSecond.Immediate:
                ulong element = op->Imm & SveElements.Mask(8 << op->Extra);
                if (piece == 0)
                {
                    SimdSequences.Constant(e, 3, SimdSequences.Replicate(element, op->Extra));
                }

                return 3;
            case SveSecond.None:
                return -1;
            case SveSecond.Indexed:
                SimdSequences.Broadcast(e, 1, e.Scalable.Read(op->Rm, piece, 1), op->Extra, (int)op->Imm);
                return 1;
            default:
                return e.Scalable.Read(op->Rm, piece, 1);
        }
    }

    /// <summary>XMM0 = its active elements, and what the others are to be. Uses XMM1 and XMM2.</summary>
    public static void Merge(BlockEmitter e, Op* op, SvePredication predication, int piece)
    {
        switch (predication)
        {
            case SvePredication.Merging:
                e.Scalable.Mask(2, op->Shift, piece, op->Extra);
                e.Asm.Blend(0, e.Scalable.Read(op->Rd, piece, 1), 0, 2);
                break;
            case SvePredication.Zeroing:
                e.Scalable.Mask(2, op->Shift, piece, op->Extra);
                e.Asm.Packed(Packed.And, 0, 2);
                break;
        }
    }

    private static void Integer(BlockEmitter e, Op* op, SveOp what)
    {
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int m = Second(e, op, what, i);
            int n = what.Shape == SveShape.Second ? 0 : e.Scalable.Read(op->Rn, i, what.Second == SveSecond.Immediate ? 1 : 3);
            (n, m) = what.Swap ? (m, n) : (n, m);
            switch (what.Shape)
            {
                case SveShape.Same:
                    e.Asm.Packed(what.Operation.At(op->Extra), 0, n, m);
                    break;
                case SveShape.BitClear:
                    e.Asm.Packed(Packed.AndNot, 0, m, n);
                    break;
                case SveShape.Second:
                    e.Asm.CopyXmm(0, m);
                    break;
                case SveShape.Difference:
                    SimdVectorEmitters.DifferenceOf(e, n, m, what.Operation, op->Extra);
                    break;
                case SveShape.ExclusiveOrThree:
                    e.Asm.Packed(Packed.Xor, 0, n, m);
                    e.Asm.Packed(Packed.Xor, 0, e.Scalable.Read(op->Ra, i, 1));
                    break;
                case SveShape.ClearAndExclusiveOr:
                    e.Asm.Packed(Packed.AndNot, 0, e.Scalable.Read(op->Ra, i, 2), m);
                    e.Asm.Packed(Packed.Xor, 0, n);
                    break;
                case SveShape.ExclusiveOrAndRotate:
                    e.Asm.Packed(Packed.Xor, 0, n, m);
                    if ((int)op->Imm != 8 << op->Extra)
                    {
                        SimdSequences.RotateRight(e, op->Extra, 0, 0, (int)op->Imm, scratch: 2);
                    }

                    break;
                case SveShape.Select:
                    // m ^ ((n ^ m) & a).
                    e.Asm.Packed(Packed.Xor, 0, n, m);
                    e.Asm.Packed(Packed.And, 0, e.Scalable.Read(op->Ra, i, 2));
                    e.Asm.Packed(Packed.Xor, 0, m);
                    break;
                case SveShape.Multiply or SveShape.MultiplyAdd or SveShape.MultiplySub:
                    SimdVectorEmitters.MultiplyElements(e, n, m, what.Operation.At(op->Extra), op->Extra);
                    Accumulate(e, op, what.Shape, i);
                    break;
                case SveShape.ShiftLeft or SveShape.ShiftRight or SveShape.ShiftRightAccumulate:
                    ShiftByImmediate(e, op, what, n, i);
                    break;
                case SveShape.ShiftLeftEach or SveShape.ShiftRightEach:
                    PackedShift shift = what.Shape == SveShape.ShiftLeftEach ? PackedShift.Left
                        : what.Signed ? PackedShift.RightSigned : PackedShift.Right;
                    e.Asm.ShiftEach(shift, op->Extra == 3, 0, n, m);
                    break;
                default:
                    OfOne(e, op, what, n);
                    break;
            }

            Merge(e, op, what.Predication, i);
            e.Scalable.Write(op->Rd, i, 0);
        }
    }

    // XMM0 = a ± the product in XMM0. Uses XMM1.
    private static void Accumulate(BlockEmitter e, Op* op, SveShape shape, int piece)
    {
        if (shape != SveShape.Multiply)
        {
            VectorOp sum = shape == SveShape.MultiplyAdd ? SimdOperations.Add : SimdOperations.Sub;
            e.Asm.Packed(sum.At(op->Extra), 0, e.Scalable.Read(op->Ra, piece, 1), 0);
        }
    }

    // XMM0 = n shifted, and a plus that. Uses XMM1 and XMM2.
    private static void ShiftByImmediate(BlockEmitter e, Op* op, SveOp what, int n, int piece)
    {
        int size = op->Extra;
        switch (what.Shape)
        {
            case SveShape.ShiftLeft:
                SimdShiftEmitters.ShiftElements(e, PackedShift.Left, 0, n, size, (int)op->Imm);
                break;
            case SveShape.ShiftRight:
                SimdShiftEmitters.ShiftRightElements(e, n, size, (int)op->Imm, what.Signed, round: false);
                break;
            default:
                // The immediate is negative here.
                SimdShiftEmitters.ShiftRightElements(e, n, size, -(int)op->Imm, what.Signed, round: false);
                e.Asm.Packed(SimdOperations.Add.At(size), 0, e.Scalable.Read(op->Ra, piece, 1));
                break;
        }
    }

    // XMM0 = what is made of n alone. Uses XMM1 and XMM3.
    private static void OfOne(BlockEmitter e, Op* op, SveOp what, int n)
    {
        int size = op->Extra;
        Packed subtract = SimdOperations.Sub.At(size);
        switch (what.Shape)
        {
            case SveShape.Absolute when size == 3:
                e.Asm.Packed(Packed.Xor, 1, 1);
                e.Asm.Packed(Packed.GreaterD, 1, n);
                e.Asm.Packed(Packed.Xor, 0, n, 1);
                e.Asm.Packed(subtract, 0, 1);
                break;
            case SveShape.Absolute:
                e.Asm.PackedOne(SimdOperations.Of(Decoding.Operation.Abs).At(size), 0, (Reg)n);
                break;
            case SveShape.Negate:
                e.Asm.Packed(Packed.Xor, 0, 0);
                e.Asm.Packed(subtract, 0, n);
                break;
            case SveShape.Not:
                e.Asm.CopyXmm(0, n);
                SimdSequences.Invert(e, 0);
                break;
            case SveShape.IsZero:
                e.Asm.Packed(Packed.Xor, 1, 1);
                e.Asm.Packed(ScalableVectors.Equal(size), 1, n);
                e.Asm.Packed(Packed.Xor, 0, 0);
                e.Asm.Packed(subtract, 0, 1);
                break;
            case SveShape.Extend when what.Signed:
                int count = (8 << size) - (8 << what.Argument);
                e.Asm.PackedShift(PackedShift.Left, 1 << size, 0, n, count);
                SimdShiftEmitters.ShiftRightElements(e, 0, size, count, signed: true, round: false);
                break;
            case SveShape.Extend:
                SimdSequences.Constant(e, 1, SimdSequences.Replicate(SveElements.Mask(8 << what.Argument), size));
                e.Asm.Packed(Packed.And, 0, n, 1);
                break;
            case SveShape.ReverseParts:
                SimdPermuteEmitters.ReverseElements(e, n, what.Argument, 1 << size);
                break;
            default:
                ulong sign = SimdSequences.SignBits(size);
                bool negates = what.Shape == SveShape.FloatNegate;
                SimdSequences.Constant(e, 1, negates ? sign : ~sign);
                e.Asm.Packed(negates ? Packed.Xor : Packed.And, 0, n, 1);
                break;
        }
    }

    /// <summary>SEL of vectors.</summary>
    public static bool Select(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        e.Scalable.MakeReal(op->Rm);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Mask(2, op->Shift, i, op->Extra);
            e.Asm.Blend(0, e.Scalable.Read(op->Rm, i, 0), e.Scalable.Read(op->Rn, i, 1), 2);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>DUP of a general register.</summary>
    public static bool DuplicateGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        BroadcastGeneral(e, op, 0);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>CPY of a general register, under a predicate.</summary>
    public static bool CopyGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rd);
        BroadcastGeneral(e, op, 3);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.CopyXmm(0, 3);
            Merge(e, op, SvePredication.Merging, i);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    private static void BroadcastGeneral(BlockEmitter e, Op* op, int register)
    {
        e.Asm.LoadXmmGeneral(true, register, e.Registers.In(op->Rn, Rax));
        SimdSequences.Broadcast(e, register, register, op->Extra, 0);
    }
}
