using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// SIMD with results of twice the element size: long, wide, pairwise and dot products. First the half of each source that is used is
/// extended, in one or two host instructions.
/// </summary>
internal static unsafe class SimdWideningEmitters
{
    public static void Widen(BlockEmitter e, Op* op, VectorOp what)
    {
        int size = op->Extra;
        int n = e.Vectors.Read(op->Rn);
        Packed operation = what.At(size);
        int bytes = 16;
        switch (what.Shape)
        {
            case Shape.Lengthen:
                ExtendHalf(e, 0, n, op->Ra != 0, operation);
                if (op->Imm != 0)
                {
                    e.Asm.PackedShift(PackedShift.Left, 2 << size, 0, (int)op->Imm);
                }

                break;
            case Shape.Long or Shape.LongAdd or Shape.LongSub:
                Long(e, op, what, n, operation, size);
                break;
            case Shape.Wide:
                ExtendHalf(e, 1, e.Vectors.Read(op->Rm), op->Ra != 0, Extension(what, size));
                e.Asm.Packed(operation, 0, n, 1);
                break;
            case Shape.LongDifference or Shape.LongDifferenceAccumulate:
                SimdVectorEmitters.DifferenceOf(e, n, e.Vectors.Read(op->Rm), what, size);
                ExtendHalf(e, 0, 0, op->Ra != 0, SimdOperations.ZeroExtend.At(size));
                if (what.Shape == Shape.LongDifferenceAccumulate)
                {
                    e.Asm.Packed(SimdOperations.Add.At(size + 1), 0, e.Vectors.Read(op->Rd));
                }

                break;
            case Shape.PolynomialLong:
                e.Asm.CarrylessMultiply(0, n, e.Vectors.Read(op->Rm), op->Ra == 0 ? 0 : 0x11);
                break;
            case Shape.Dot:
                Dot(e, op, what, n);
                bytes = op->Shift;
                break;
            default:
                AddPairsLong(e, 0, n, size, what.Signed);
                if (what.Shape == Shape.PairsLongAccumulate)
                {
                    e.Asm.Packed(SimdOperations.Add.At(size + 1), 0, e.Vectors.Read(op->Rd));
                }

                bytes = op->Shift;
                break;
        }

        SimdSequences.StoreVector(e, op->Rd, bytes);
    }

    // What extends elements to twice their size.
    private static Packed Extension(VectorOp what, int size) =>
        (what.Signed ? SimdOperations.SignExtend : SimdOperations.ZeroExtend).At(size);

    private static void ExtendHalf(BlockEmitter e, int destination, int source, bool upper, Packed extension)
    {
        if (upper)
        {
            e.Asm.ShuffleWords(destination, source, 0xEE);
            source = destination;
        }

        e.Asm.PackedOne(extension, destination, (Reg)source);
    }

    private static void Long(BlockEmitter e, Op* op, VectorOp what, int n, Packed operation, int size)
    {
        Packed extension = Extension(what, size);
        int m = SimdSequences.Multiplier(e, op, what);
        ExtendHalf(e, 0, n, op->Ra != 0, extension);
        ExtendHalf(e, 1, m, op->Ra != 0, extension);
        e.Asm.Packed(operation, 0, 1);
        if (what.Shape == Shape.LongAdd)
        {
            e.Asm.Packed(SimdOperations.Add.At(size + 1), 0, e.Vectors.Read(op->Rd));
        }
        else if (what.Shape == Shape.LongSub)
        {
            e.Asm.Packed(SimdOperations.Sub.At(size + 1), 0, e.Vectors.Read(op->Rd), 0);
        }
    }

    /// <summary>The sums of adjacent elements, in elements of twice the size. Uses XMM1.</summary>
    public static void AddPairsLong(BlockEmitter e, int destination, int n, int size, bool signed)
    {
        if (size == 0)
        {
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(1, 0));
            e.Asm.Packed(Packed.MultiplyAddPairsB, destination, signed ? 1 : n, signed ? n : 1);
        }
        else if (size == 1 && signed)
        {
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(1, 1));
            e.Asm.Packed(Packed.MultiplyAddPairsH, destination, n, 1);
        }
        else if (signed)
        {
            e.Asm.ShuffleWords(1, n, 0x08);
            e.Asm.PackedOne(Packed.SignExtendS, 1, (Reg)1);
            e.Asm.ShuffleWords(destination, n, 0x0D);
            e.Asm.PackedOne(Packed.SignExtendS, destination, (Reg)destination);
            e.Asm.Packed(Packed.AddD, destination, 1);
        }
        else
        {
            int wide = 2 << size;
            int bits = 8 << size;
            e.Asm.PackedShift(PackedShift.Left, wide, 1, n, bits);
            e.Asm.PackedShift(PackedShift.Right, wide, 1, bits);
            e.Asm.PackedShift(PackedShift.Right, wide, destination, n, bits);
            e.Asm.Packed(SimdOperations.Add.At(size + 1), destination, 1);
        }
    }

    // XMM0 = d + the sums of four products of bytes each. The bytes are extended to halfwords, whose products PMADDWD adds in pairs.
    private static void Dot(BlockEmitter e, Op* op, VectorOp what, int n)
    {
        Packed extension = Extension(what, 0);
        int m = SimdSequences.Multiplier(e, op, what);
        ExtendHalf(e, 2, n, upper: true, extension);
        ExtendHalf(e, 3, m, upper: true, extension);
        e.Asm.Packed(Packed.MultiplyAddPairsH, 2, 3);
        ExtendHalf(e, 0, n, upper: false, extension);
        ExtendHalf(e, 1, m, upper: false, extension);
        e.Asm.Packed(Packed.MultiplyAddPairsH, 0, 1);
        e.Asm.Packed(Packed.AddAdjacentS, 0, 2);
        e.Asm.Packed(Packed.AddS, 0, e.Vectors.Read(op->Rd));
    }
}
