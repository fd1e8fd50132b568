using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Comparisons of SVE, which make a predicate: those of integers set flags.</summary>
internal static unsafe class SveCompareEmitters
{
    /// <summary>RDX = the predicate, RCX = the governing one, both without the bits that are no element's.</summary>
    public static void Compare(BlockEmitter e, Op* op, SveOp what)
    {
        int size = op->Extra;
        e.Flags.GiveUp();
        bool not = what.Not;
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int m = SveShapeEmitters.Second(e, op, what, i);
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
                case SveShape.FloatCompare or SveShape.FloatCompareAbsolute:
                    CompareFloat(e, op, what, n, m, i);
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
        if (what.Shape is not (SveShape.FloatCompare or SveShape.FloatCompareAbsolute))
        {
            SvePredicateEmitters.SetFlags(e);
        }
    }

    // XMM0 = a comparison. Leaves for NaNs of active elements. XMM3 stays where it has zero, and RAX. Uses XMM1 to XMM3 and RDX.
    private static void CompareFloat(BlockEmitter e, Op* op, SveOp what, int n, int m, int piece)
    {
        bool isDouble = op->Extra == 3;
        var condition = (FloatCondition)what.Argument;
        int mask = what.Second == SveSecond.Immediate ? 1 : 3;
        e.Asm.PackedCompare(FloatCondition.Unordered, isDouble, 2, n, m);
        e.Scalable.Mask(mask, op->Shift, piece, op->Extra);
        e.Asm.Packed(Packed.And, 2, mask);
        FloatingPointVectorEmitters.LeaveWhereSet(e, op, 2, ScalableRegisters.LowBytes);
        if (what.Shape == SveShape.FloatCompareAbsolute)
        {
            SimdSequences.Constant(e, 2, ~SimdSequences.SignBits(op->Extra));
            e.Asm.Packed(Packed.And, 3, n, 2);
            e.Asm.Packed(Packed.And, 2, m);
            (n, m) = (3, 2);
        }

        e.Asm.PackedCompare(condition, isDouble, 0, n, m);
    }
}
