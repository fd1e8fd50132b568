using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Integer SIMD with the host's packed instructions, where one to twenty of them do it. Operands are read where they are; results are made
/// in XMM0, XMM1–XMM3 help, and all 16 bytes of the destination are written. One instruction of the host where it has the same on 16 bytes,
/// two on 8. Host flags stay, unless FPSR.QC is to be looked after.
/// </content>
internal sealed unsafe partial class Translator
{
    private const int CumulativeSaturation = 1 << 27;

    private static bool VectorOperation(Translator t, Op* op) => t.Vector(op, s_vectorOps[op->Row]);

    // Whether there is an emitter for this size of elements.
    private static bool Declines(Op* op, VectorOp what) => what.Shape switch
    {
        Shape.Same or Shape.MultiplyAdd or Shape.MultiplySub or Shape.Difference or Shape.DifferenceAccumulate
            or Shape.HalvingAdd or Shape.SaturatingAdd
            or Shape.SaturatingSub or Shape.MultiplyHighDoubling or Shape.MultiplyHighRounding => what.At(op->Extra) == Packed.None,
        Shape.ShiftByRegister => op->Extra < 2 || (op->Extra == 3 && what.Signed),
        Shape.NarrowSigned or Shape.NarrowUnsigned or Shape.NarrowSignedToUnsigned => op->Extra > 1,
        Shape.AesEncrypt or Shape.AesDecrypt or Shape.AesMixColumns or Shape.AesInverseMixColumns => !Aes.IsSupported,
        Shape.PolynomialLong => !Pclmulqdq.IsSupported,
        _ => false,
    };

    private bool Vector(Op* op, VectorOp what)
    {
        if (Declines(op, what))
        {
            return false;
        }

        int size = op->Extra;
        CheckFp(op);
        switch (what.Shape)
        {
            case Shape.Same when op->Shift == 16:
                int left = Vec(op->Rn);
                int right = Vec(op->Rm);
                _a.Packed(what.At(size), Result(op->Rd), left, right);
                break;
            case >= Shape.DuplicateElement and <= Shape.InsertElement:
                CopyElement(op, what.Shape);
                break;
            case Shape.Immediate:
                Constant(0, op->Imm);
                StoreVector(op->Rd, op->Shift);
                break;
            case Shape.OrImmediate:
                Constant(0, op->Imm);
                _a.Packed(Packed.Or, 0, Vec(op->Rd));
                StoreVector(op->Rd, op->Shift);
                break;
            case Shape.ClearImmediate:
                Constant(0, op->Imm);
                _a.Packed(Packed.AndNot, 0, Vec(op->Rd));
                StoreVector(op->Rd, op->Shift);
                break;
            case >= Shape.Lengthen and <= Shape.Dot:
                Widen(op, what);
                break;
            case >= Shape.Narrow and <= Shape.NarrowSignedToUnsigned:
                Narrow(op, what);
                break;
            case Shape.AddPair:
                _a.ShuffleWords(0, Vec(op->Rn), 0xEE);
                _a.Packed(Packed.AddD, 0, Vec(op->Rn));
                StoreVector(op->Rd, 8);
                break;
            case Shape.Across:
                AcrossLanes(op, what.At(size), Vec(op->Rn), size);
                StoreVector(op->Rd, 1 << size);
                break;
            case Shape.AcrossLong:
                AddAcrossLong(op, what.Signed);
                break;
            case >= Shape.AesEncrypt:
                CryptBlock(op, what.Shape);
                break;
            default:
                Arithmetic(op, what, size);
                StoreVector(op->Rd, op->Shift);
                break;
        }

        return true;
    }

    // The second source: m, or its element in every place of XMM1.
    private int Multiplier(Op* op, VectorOp what)
    {
        int m = Vec(op->Rm);
        if (!what.Element)
        {
            return m;
        }

        Broadcast(1, m, op->Extra, (int)op->Imm);
        return 1;
    }

    // XMM0 = the result.
    private void Arithmetic(Op* op, VectorOp what, int size)
    {
        Packed operation = what.At(size);
        int n = Vec(op->Rn);
        switch (what.Shape)
        {
            case Shape.Same:
                _a.Packed(operation, 0, n, Vec(op->Rm));
                break;
            case Shape.Multiply:
                MultiplyElements(n, Multiplier(op, what), operation, size);
                break;
            case Shape.MultiplyAdd:
                MultiplyElements(n, Multiplier(op, what), operation, size);
                _a.Packed(s_add.At(size), 0, Vec(op->Rd));
                break;
            case Shape.MultiplySub:
                MultiplyElements(n, Multiplier(op, what), operation, size);
                _a.Packed(s_sub.At(size), 0, Vec(op->Rd), 0);
                break;
            case Shape.GreaterOrEqual:
                _a.Packed(operation, 0, Vec(op->Rm), n);
                Invert(0);
                break;
            case Shape.HigherOrSame or Shape.Higher:
                CompareUnsigned(n, Vec(op->Rm), operation, size, orSame: what.Shape == Shape.HigherOrSame);
                break;
            case Shape.Test:
                _a.Packed(Packed.And, 0, n, Vec(op->Rm));
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(operation, 0, 1);
                Invert(0);
                break;
            case Shape.EqualZero or Shape.GreaterZero or Shape.LessOrEqualZero:
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(operation, 0, n, 1);
                if (what.Shape == Shape.LessOrEqualZero)
                {
                    Invert(0);
                }

                break;
            case Shape.LessZero or Shape.GreaterOrEqualZero or Shape.Negate:
                _a.Packed(Packed.Xor, 0, 0);
                _a.Packed(operation, 0, n);
                if (what.Shape == Shape.GreaterOrEqualZero)
                {
                    Invert(0);
                }

                break;
            case Shape.Absolute when size == 3:
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(Packed.GreaterD, 1, n);
                _a.Packed(Packed.Xor, 0, n, 1);
                _a.Packed(Packed.SubD, 0, 1);
                break;
            case Shape.Absolute:
                _a.PackedOne(operation, 0, (Reg)n);
                break;
            case Shape.Not:
                _a.CopyXmm(0, n);
                Invert(0);
                break;
            case Shape.BitClear:
                _a.Packed(Packed.AndNot, 0, Vec(op->Rm), n);
                break;
            case Shape.OrNot:
                _a.CopyXmm(0, Vec(op->Rm));
                Invert(0);
                _a.Packed(Packed.Or, 0, n);
                break;
            case Shape.SelectByDestination:
                // m ^ ((m ^ n) & d).
                int m = Vec(op->Rm);
                _a.Packed(Packed.Xor, 0, n, m);
                _a.Packed(Packed.And, 0, Vec(op->Rd));
                _a.Packed(Packed.Xor, 0, m);
                break;
            case Shape.InsertIfTrue or Shape.InsertIfFalse:
                // d ^ ((d ^ n) & m).
                int d = Vec(op->Rd);
                _a.Packed(Packed.Xor, 0, n, d);
                _a.Packed(what.Shape == Shape.InsertIfTrue ? Packed.And : Packed.AndNot, 0, Vec(op->Rm), 0);
                _a.Packed(Packed.Xor, 0, d);
                break;
            case Shape.Difference or Shape.DifferenceAccumulate:
                DifferenceOf(n, Vec(op->Rm), what, size);
                if (what.Shape == Shape.DifferenceAccumulate)
                {
                    _a.Packed(s_add.At(size), 0, Vec(op->Rd));
                }

                break;
            case Shape.HalvingAdd:
                Average(n, Vec(op->Rm), what, size);
                break;
            case Shape.SaturatingAdd or Shape.SaturatingSub:
                LoseHostFlags();
                _a.Packed(operation, 0, n, Vec(op->Rm));
                _a.Packed((what.Shape == Shape.SaturatingAdd ? s_add : s_sub).At(size), 1, n, Vec(op->Rm));
                _a.Packed(s_equal.At(size), 1, 0);
                NoteSaturation(1, op->Shift);
                break;
            case Shape.MultiplyHighDoubling or Shape.MultiplyHighRounding:
                LoseHostFlags();
                MultiplyHigh(op, what, n);
                break;
            case >= Shape.ShiftLeft and <= Shape.ShiftByRegister:
                ShiftVector(op, what, n, size);
                break;
            default:
                Permute(op, what, n, size);
                break;
        }
    }

    // XMM0 = n × m, of bytes by halfwords of which the odd bytes make the upper parts. Uses XMM2.
    private void MultiplyElements(int n, int m, Packed operation, int size)
    {
        if (size != 0)
        {
            _a.Packed(operation, 0, n, m);
            return;
        }

        _a.PackedShift(PackedShift.Right, 2, 0, n, 8);
        _a.PackedShift(PackedShift.Right, 2, 2, m, 8);
        _a.Packed(operation, 0, 2);
        _a.PackedShift(PackedShift.Left, 2, 0, 8);
        _a.Packed(operation, 2, n, m);
        _a.PackedShift(PackedShift.Left, 2, 2, 8);
        _a.PackedShift(PackedShift.Right, 2, 2, 8);
        _a.Packed(Packed.Or, 0, 2);
    }

    // Doublewords as signed ones with their top bits inverted.
    private void CompareUnsigned(int n, int m, Packed max, int size, bool orSame)
    {
        if (size == 3)
        {
            Constant(2, 1ul << 63);
            _a.Packed(Packed.Xor, 0, n, 2);
            _a.Packed(Packed.Xor, 1, m, 2);
            _a.Packed(Packed.GreaterD, 0, orSame ? 1 : 0, orSame ? 0 : 1);
        }
        else
        {
            _a.Packed(max, 0, n, m);
            _a.Packed(s_equal.At(size), 0, orSame ? n : m);
        }

        if (size == 3 ? orSame : !orSame)
        {
            Invert(0);
        }
    }

    // XMM0 = |n - m|. Uses XMM1 last.
    private void DifferenceOf(int n, int m, VectorOp what, int size)
    {
        _a.Packed(what.At(size), 0, n, m);
        _a.Packed((what.Signed ? s_minSigned : s_minUnsigned).At(size), 1, n, m);
        _a.Packed(s_sub.At(size), 0, 1);
    }

    // The host averages unsigned elements, and rounds up.
    private void Average(int n, int m, VectorOp what, int size)
    {
        if (what.Signed)
        {
            Constant(2, SignBits(size));
            _a.Packed(Packed.Xor, 0, n, 2);
            _a.Packed(Packed.Xor, 1, m, 2);
            (n, m) = (0, 1);
        }

        if (!what.Round)
        {
            _a.Packed(Packed.Xor, 3, n, m);
            _a.Packed(what.At(size), 0, n, m);
            Constant(1, Replicate(1, size));
            _a.Packed(Packed.And, 3, 1);
            _a.Packed(s_sub.At(size), 0, 3);
        }
        else
        {
            _a.Packed(what.At(size), 0, n, m);
        }

        if (what.Signed)
        {
            _a.Packed(Packed.Xor, 0, 2);
        }
    }

    // Halfwords: only -1 × -1 saturates, and would give -1.
    private void MultiplyHigh(Op* op, VectorOp what, int n)
    {
        int m = Multiplier(op, what);
        if (what.Shape == Shape.MultiplyHighRounding)
        {
            _a.Packed(Packed.MultiplyHighRoundingH, 0, n, m);
        }
        else
        {
            _a.Packed(Packed.MultiplyHighSignedH, 0, n, m);
            _a.Packed(Packed.MultiplyH, 2, n, m);
            _a.Packed(Packed.AddH, 0, 0);
            _a.PackedShift(PackedShift.Right, 2, 2, 15);
            _a.Packed(Packed.Or, 0, 2);
        }

        Constant(1, SignBits(1));
        _a.Packed(Packed.EqualH, 1, 0);
        _a.Packed(Packed.Xor, 0, 1);
        Invert(1);
        NoteSaturation(1, op->Shift);
    }

    // FPSR.QC is set where one of so many bytes is zero. Flags are lost; uses RDX.
    private void NoteSaturation(int unsaturated, int bytes)
    {
        _a.TopBits(Rdx, unsaturated);
        _a.Not(false, Rdx);
        _a.AluImmediate(Alu.And, false, Rdx, (1 << bytes) - 1);
        _a.Negate(false, Rdx);
        _a.Alu(Alu.Sbb, false, Rdx, Rdx);
        _a.AluImmediate(Alu.And, false, Rdx, CumulativeSaturation);
        _a.AluTo(Alu.Or, false, HostRegisters.Fpsr, Rdx);
    }

    // AESE: ShiftRows(SubBytes(d ^ n)), the host's last round with a key of zero; MixColumns alone is its round behind its inverse last
    // round.
    private void CryptBlock(Op* op, Shape shape)
    {
        int n = Vec(op->Rn);
        _a.Packed(Packed.Xor, 1, 1);
        switch (shape)
        {
            case Shape.AesEncrypt or Shape.AesDecrypt:
                _a.Packed(Packed.Xor, 0, n, Vec(op->Rd));
                _a.Packed(shape == Shape.AesEncrypt ? Packed.AesEncryptLast : Packed.AesDecryptLast, 0, 1);
                break;
            case Shape.AesMixColumns:
                _a.Packed(Packed.AesDecryptLast, 0, n, 1);
                _a.Packed(Packed.AesEncrypt, 0, 1);
                break;
            default:
                _a.PackedOne(Packed.AesInverseMixColumns, 0, (Reg)n);
                break;
        }

        StoreVector(op->Rd, 16);
    }

    // An element in every place of 64 bits.
    private static ulong Replicate(ulong element, int size)
    {
        for (int bits = 8 << size; bits < 64; bits *= 2)
        {
            element |= element << bits;
        }

        return element;
    }

    private static ulong SignBits(int size) => Replicate(1ul << ((8 << size) - 1), size);

    // Both halves of a register. Uses RDX.
    private void Constant(int register, ulong half)
    {
        if (half == 0)
        {
            _a.Packed(Packed.Xor, register, register);
        }
        else if (half == ulong.MaxValue)
        {
            _a.Packed(Packed.EqualS, register, register);
        }
        else
        {
            _a.LoadImmediate(Rdx, half);
            _a.LoadXmmGeneral(true, register, Rdx);
            _a.Packed(Packed.UnpackLowD, register, register);
        }
    }

    // Uses XMM3.
    private void Invert(int register)
    {
        _a.Packed(Packed.EqualS, 3, 3);
        _a.Packed(Packed.Xor, register, 3);
    }

    // XMM0 to a V register: so many low bytes, 1 to 8 or 16; the rest is zero.
    private void StoreVector(int vector, int bytes)
    {
        switch (bytes)
        {
            case 16:
                _a.CopyXmm(Result(vector), 0);
                break;
            case 4 or 8:
                _a.CopyLow(bytes == 8, Result(vector), 0);
                break;
            default:
                // Past the wanted bytes there may be anything.
                _a.ExtractElement(bytes - 1, Rdx, 0, 0);
                _a.LoadXmmGeneral(false, Result(vector), Rdx);
                break;
        }
    }
}
