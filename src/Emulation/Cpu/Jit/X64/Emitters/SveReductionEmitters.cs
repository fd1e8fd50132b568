using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Instructions of SVE that make one element of all that are active. It is written to a V register.</summary>
internal static unsafe class SveReductionEmitters
{
    /// <summary>ORV, EORV, ANDV, SMAXV, UMAXV, SMINV, UMINV. Imm is what the others stand for.</summary>
    public static bool Reduce(BlockEmitter e, Op* op)
    {
        int size = op->Extra;
        Packed operation = SimdOperations.Of(EncodingTable.Rows[op->Row].Operation switch
        {
            Operation.SveOrv => Operation.OrrVectorRegister,
            Operation.SveEorv => Operation.EorVector,
            Operation.SveAndv => Operation.AndVector,
            Operation.SveSmaxv => Operation.Smax,
            Operation.SveUmaxv => Operation.Umax,
            Operation.SveSminv => Operation.Smin,
            _ => Operation.Umin,
        }).At(size);
        if (operation == Packed.None)
        {
            return false;
        }

        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        SimdSequences.Constant(e, 3, SimdSequences.Replicate(op->Imm & SveElements.Mask(8 << size), size));
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int target = i == 0 ? 0 : 2;
            e.Scalable.Mask(1, op->Shift, i, size);
            e.Asm.Blend(target, 3, e.Scalable.Read(op->Rn, i, 2), 1);
            if (i != 0)
            {
                e.Asm.Packed(operation, 0, 2);
            }
        }

        e.Asm.ShuffleWords(1, 0, 0xEE);
        e.Asm.Packed(operation, 0, 1);
        if (size < 3)
        {
            SimdPermuteEmitters.FoldLow(e, operation, size);
        }

        return Write(e, op, 1 << size);
    }

    // Rd = the low bytes of XMM0.
    private static bool Write(BlockEmitter e, Op* op, int bytes)
    {
        SimdSequences.StoreVector(e, op->Rd, bytes);
        e.Scalable.Clear(op->Rd);
        return true;
    }

    // A register = a piece of a vector, with zero where it is not active.
    private static void Active(BlockEmitter e, Op* op, int vector, int register, int piece, int scratch)
    {
        e.Scalable.Mask(register, op->Shift, piece, op->Extra);
        e.Asm.Packed(Packed.And, register, e.Scalable.Read(vector, piece, scratch));
    }

    /// <summary>SADDV, UADDV (bit 16): a sum of 64 bits.</summary>
    public static bool Sum(BlockEmitter e, Op* op)
    {
        bool signed = SveForms.Field(op, 16, 1) == 0;
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            Active(e, op, op->Rn, 0, i, 1);
            for (int size = op->Extra; size < 3; size++)
            {
                SimdWideningEmitters.AddPairsLong(e, 0, 0, size, signed);
            }

            if (i == 0)
            {
                e.Asm.CopyXmm(3, 0);
            }
            else
            {
                e.Asm.Packed(Packed.AddD, 3, 0);
            }
        }

        e.Asm.ShuffleWords(0, 3, 0xEE);
        e.Asm.Packed(Packed.AddD, 0, 3);
        return Write(e, op, 8);
    }

    /// <summary>
    /// FADDV: adjacent elements are added, then adjacent sums. Once a sum is not finite all later ones are not, so the last one alone is
    /// looked at.
    /// </summary>
    public static bool FloatSum(BlockEmitter e, Op* op)
    {
        if (op->Extra < 2)
        {
            return false;
        }

        bool isDouble = op->Extra == 3;
        int pieces = e.Scalable.Pieces;
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Flags.GiveUp();
        Active(e, op, op->Rn, 0, 0, 0);
        if (pieces > 1)
        {
            Active(e, op, op->Rn, 1, 1, 2);
        }

        e.Asm.AddAdjacent(isDouble, 0, 0, pieces > 1 ? 1 : 0);
        int done = 1;
        if (pieces > 2)
        {
            Active(e, op, op->Rn, 1, 2, 2);
            if (pieces > 3)
            {
                Active(e, op, op->Rn, 2, 3, 3);
            }
            else
            {
                e.Asm.Packed(Packed.Xor, 2, 2);
            }

            e.Asm.AddAdjacent(isDouble, 1, 1, 2);
            e.Asm.AddAdjacent(isDouble, 0, 0, 1);
            done = 2;
        }

        int sums = BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)(e.Scalable.Length >> op->Extra)));
        for (; done < sums; done++)
        {
            e.Asm.AddAdjacent(isDouble, 0, 0, 0);
        }

        return WriteFinite(e, op, isDouble);
    }

    private static bool WriteFinite(BlockEmitter e, Op* op, bool isDouble)
    {
        e.Asm.CopyLow(isDouble, 0, 0);
        FloatingPointVectorEmitters.FindRare(e, isDouble, mayUnderflow: false);
        FloatingPointVectorEmitters.LeaveWhereSet(e, op, 1, ScalableRegisters.LowBytes);
        return Write(e, op, isDouble ? 8 : 4);
    }

    /// <summary>FADDA: one active element after the other is added. To add -0 changes nothing, so it stands for the others.</summary>
    public static bool FloatSumInOrder(BlockEmitter e, Op* op)
    {
        if (op->Extra < 2)
        {
            return false;
        }

        bool isDouble = op->Extra == 3;
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rm);
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Flags.GiveUp();
        e.Asm.CopyXmm(0, e.Scalable.Read(op->Rn, 0, 0));
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            SimdSequences.Constant(e, 2, SimdSequences.SignBits(op->Extra));
            e.Scalable.Mask(1, op->Shift, i, op->Extra);
            e.Asm.Blend(3, 2, e.Scalable.Read(op->Rm, i, 3), 1);
            e.Asm.Scalar(Scalar.Add, isDouble, 0, 0, 3);
            for (int element = 1; element < ScalableRegisters.LowBytes >> op->Extra; element++)
            {
                e.Asm.ShuffleWords(1, 3, isDouble ? 0xEE : element);
                e.Asm.Scalar(Scalar.Add, isDouble, 0, 0, 1);
            }
        }

        return WriteFinite(e, op, isDouble);
    }
}
