using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// SIMD with results of twice the size: long, wide, pairs and dot products. The half that counts is extended first: one or two instructions
/// for each source.
/// </content>
internal sealed unsafe partial class Translator
{
    private void Widen(Op* op, VectorOp what)
    {
        int size = op->Extra;
        int n = Vec(op->Rn);
        Packed operation = what.At(size);
        int bytes = 16;
        switch (what.Shape)
        {
            case Shape.Lengthen:
                ExtendHalf(0, n, op->Ra != 0, operation);
                if (op->Imm != 0)
                {
                    _a.PackedShift(PackedShift.Left, 2 << size, 0, (int)op->Imm);
                }

                break;
            case Shape.Long or Shape.LongAdd or Shape.LongSub:
                Long(op, what, n, operation, size);
                break;
            case Shape.Wide:
                ExtendHalf(1, Vec(op->Rm), op->Ra != 0, Extension(what, size));
                _a.Packed(operation, 0, n, 1);
                break;
            case Shape.LongDifference or Shape.LongDifferenceAccumulate:
                DifferenceOf(n, Vec(op->Rm), what, size);
                ExtendHalf(0, 0, op->Ra != 0, s_zeroExtend.At(size));
                if (what.Shape == Shape.LongDifferenceAccumulate)
                {
                    _a.Packed(s_add.At(size + 1), 0, Vec(op->Rd));
                }

                break;
            case Shape.PolynomialLong:
                _a.CarrylessMultiply(0, n, Vec(op->Rm), op->Ra == 0 ? 0 : 0x11);
                break;
            case Shape.Dot:
                Dot(op, what, n);
                bytes = op->Shift;
                break;
            default:
                AddPairsLong(0, n, size, what.Signed);
                if (what.Shape == Shape.PairsLongAccumulate)
                {
                    _a.Packed(s_add.At(size + 1), 0, Vec(op->Rd));
                }

                bytes = op->Shift;
                break;
        }

        StoreVector(op->Rd, bytes);
    }

    private static Packed Extension(VectorOp what, int size) => (what.Signed ? s_signExtend : s_zeroExtend).At(size);

    private void ExtendHalf(int destination, int source, bool upper, Packed extension)
    {
        if (upper)
        {
            _a.ShuffleWords(destination, source, 0xEE);
            source = destination;
        }

        _a.PackedOne(extension, destination, (Reg)source);
    }

    private void Long(Op* op, VectorOp what, int n, Packed operation, int size)
    {
        Packed extension = Extension(what, size);
        int m = Multiplier(op, what);
        ExtendHalf(0, n, op->Ra != 0, extension);
        ExtendHalf(1, m, op->Ra != 0, extension);
        _a.Packed(operation, 0, 1);
        if (what.Shape == Shape.LongAdd)
        {
            _a.Packed(s_add.At(size + 1), 0, Vec(op->Rd));
        }
        else if (what.Shape == Shape.LongSub)
        {
            _a.Packed(s_sub.At(size + 1), 0, Vec(op->Rd), 0);
        }
    }

    // The sums of adjacent elements, in elements of twice the size. Uses XMM1.
    private void AddPairsLong(int destination, int n, int size, bool signed)
    {
        if (size == 0)
        {
            Constant(1, Replicate(1, 0));
            _a.Packed(Packed.MultiplyAddPairsB, destination, signed ? 1 : n, signed ? n : 1);
        }
        else if (size == 1 && signed)
        {
            Constant(1, Replicate(1, 1));
            _a.Packed(Packed.MultiplyAddPairsH, destination, n, 1);
        }
        else if (signed)
        {
            _a.ShuffleWords(1, n, 0x08);
            _a.PackedOne(Packed.SignExtendS, 1, (Reg)1);
            _a.ShuffleWords(destination, n, 0x0D);
            _a.PackedOne(Packed.SignExtendS, destination, (Reg)destination);
            _a.Packed(Packed.AddD, destination, 1);
        }
        else
        {
            int wide = 2 << size;
            int bits = 8 << size;
            _a.PackedShift(PackedShift.Left, wide, 1, n, bits);
            _a.PackedShift(PackedShift.Right, wide, 1, bits);
            _a.PackedShift(PackedShift.Right, wide, destination, n, bits);
            _a.Packed(s_add.At(size + 1), destination, 1);
        }
    }

    // Four products of bytes to a word: as halfwords, whose products PMADDWD adds in pairs.
    private void Dot(Op* op, VectorOp what, int n)
    {
        Packed extension = Extension(what, 0);
        int m = Multiplier(op, what);
        ExtendHalf(2, n, upper: true, extension);
        ExtendHalf(3, m, upper: true, extension);
        _a.Packed(Packed.MultiplyAddPairsH, 2, 3);
        ExtendHalf(0, n, upper: false, extension);
        ExtendHalf(1, m, upper: false, extension);
        _a.Packed(Packed.MultiplyAddPairsH, 0, 1);
        _a.Packed(Packed.AddAdjacentS, 0, 2);
        _a.Packed(Packed.AddS, 0, Vec(op->Rd));
    }
}
