using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Instructions of SVE that do one thing with each element, in pieces of 16 bytes. A piece of the result is made in XMM0, and depends on
/// the same piece of the sources alone, so a destination may be a source too.
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

        bool isFloat = what.Shape is SveShape.Arithmetic or SveShape.Fused;
        if (isFloat)
        {
            e.Floats.CheckScalableArithmetic(op, rounds: true);
        }
        else
        {
            e.Floats.CheckScalable(op);
        }

        MakeSourcesReal(e, op, what);
        if (isFloat)
        {
            Float(e, op, what);
        }
        else if (what.Shape >= SveShape.Equal)
        {
            Compare(e, op, what);
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
        SveShape.Same or SveShape.Multiply or SveShape.MultiplyAdd or SveShape.MultiplySub =>
            what.Operation.At(op->Extra) == Packed.None,
        SveShape.Arithmetic or SveShape.Fused => op->Extra < 2,
        _ => false,
    };

    private static void MakeSourcesReal(BlockEmitter e, Op* op, SveOp what)
    {
        if (what.Shape != SveShape.Second)
        {
            e.Scalable.MakeReal(op->Rn);
        }

        if (what.Second != SveSecond.Immediate)
        {
            e.Scalable.MakeReal(op->Rm);
        }

        if (what.Shape is SveShape.MultiplyAdd or SveShape.MultiplySub or SveShape.Fused)
        {
            e.Scalable.MakeReal(op->Ra);
        }

        if (what.Predication == SvePredication.Merging)
        {
            e.Scalable.MakeReal(op->Rd);
        }
    }

    // A register with a piece of the second source: its own, or XMM1; XMM3, which stays, with an immediate. Uses RDX.
    private static int Second(BlockEmitter e, Op* op, SveOp what, int piece)
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
            case SveSecond.Indexed:
                SimdSequences.Broadcast(e, 1, e.Scalable.Read(op->Rm, piece, 1), op->Extra, (int)op->Imm);
                return 1;
            default:
                return e.Scalable.Read(op->Rm, piece, 1);
        }
    }

    // XMM0 = its active elements, and what the others are to be. Uses XMM1 and XMM2.
    private static void Merge(BlockEmitter e, Op* op, SvePredication predication, int piece)
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
                default:
                    SimdVectorEmitters.MultiplyElements(e, n, m, what.Operation.At(op->Extra), op->Extra);
                    Accumulate(e, op, what.Shape, i);
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

    // All pieces are made before one is written: each may leave.
    private static void Float(BlockEmitter e, Op* op, SveOp what)
    {
        bool isDouble = op->Extra == 3;
        bool mayUnderflow = what.Shape == SveShape.Fused || (Scalar)what.Float is Scalar.Multiply or Scalar.Divide;
        e.Flags.GiveUp();
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int m = Second(e, op, what, i);
            int n = e.Scalable.Read(op->Rn, i, 2);
            if (what.Shape == SveShape.Fused)
            {
                e.Asm.CopyXmm(0, e.Scalable.Read(op->Ra, i, 0));
                e.Asm.PackedFused((Fused)what.Float, isDouble, 0, n, m);
            }
            else
            {
                e.Asm.PackedScalar((Scalar)what.Float, isDouble, 0, n, m);
            }

            FloatingPointVectorEmitters.FindRare(e, isDouble, mayUnderflow);
            if (what.Predication == SvePredication.Merging)
            {
                e.Scalable.Mask(2, op->Shift, i, op->Extra);
                e.Asm.Packed(Packed.And, 1, 2);
            }

            FloatingPointVectorEmitters.LeaveWhereSet(e, op, 1, ScalableRegisters.LowBytes);
            Merge(e, op, what.Predication, i);
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

    // RDX = the predicate, RCX = the governing one, both without the bits that are no element's.
    private static void Compare(BlockEmitter e, Op* op, SveOp what)
    {
        int size = op->Extra;
        e.Flags.GiveUp();
        bool not = what.Not;
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int m = Second(e, op, what, i);
            int n = e.Scalable.Read(op->Rn, i, 0);
            (n, m) = what.Swap ? (m, n) : (n, m);
            switch (what.Shape)
            {
                case SveShape.Equal:
                    e.Asm.Packed(ScalableVectors.Equal(size), 0, n, m);
                    break;
                case SveShape.Greater:
                    e.Asm.Packed(SimdOperations.Greater.At(size), 0, n, m);
                    break;
                case SveShape.Higher when size == 3:
                    // As signed ones, with their top bits inverted. XMM3 stays.
                    SimdSequences.Constant(e, 2, SimdSequences.SignBits(size));
                    e.Asm.Packed(Packed.Xor, 1, what.Swap ? n : m, 2);
                    e.Asm.Packed(Packed.Xor, 0, what.Swap ? m : n, 2);
                    e.Asm.Packed(Packed.GreaterD, 0, what.Swap ? 1 : 0, what.Swap ? 0 : 1);
                    break;
                default:
                    // The greater one is m where n is not higher.
                    e.Asm.Packed(SimdOperations.MaxUnsigned.At(size), 2, n, m);
                    e.Asm.Packed(ScalableVectors.Equal(size), 0, 2, m);
                    not = !what.Not;
                    break;
            }

            e.Asm.TopBits(i == 0 ? Rax : Rcx, 0);
            if (i != 0)
            {
                e.Asm.ShiftImmediate(Shift.Shl, true, Rcx, i * ScalableRegisters.LowBytes);
                e.Asm.Alu(Alu.Or, true, Rax, Rcx);
            }
        }

        e.Asm.LoadImmediate(Rcx, e.Scalable.All(size));
        e.Asm.Alu(Alu.And, true, Rcx, HostRegisters.Predicate(op->Shift));
        if (not)
        {
            e.Asm.Not(true, Rax);
        }

        e.Asm.Load(true, Rdx, Rax);
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        SvePredicateEmitters.SetFlags(e);
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

    /// <summary>DUP of an element, whose number may be beyond the vector: bits 23:22 and 20:16 are the number and the size.</summary>
    public static bool DuplicateElement(BlockEmitter e, Op* op)
    {
        int bits = (SveForms.Field(op, 22, 2) << 5) | SveForms.Field(op, 16);
        int size = BitOperations.TrailingZeroCount(bits);
        int at = (bits >> (size + 1)) << size;
        if (size > 3)
        {
            return false;
        }

        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        if (at < e.Scalable.Length)
        {
            int piece = at / ScalableRegisters.LowBytes;
            int index = (at % ScalableRegisters.LowBytes) >> size;
            SimdSequences.Broadcast(e, 0, e.Scalable.Read(op->Rn, piece, 0), size, index);
        }
        else
        {
            e.Asm.Packed(Packed.Xor, 0, 0);
        }

        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }
}
