using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Integer SIMD, where one to twenty packed instructions of the host do it. Sources are read in the registers that hold them. The result is
/// made in XMM0, XMM1 to XMM3 help, and then all 16 bytes of the destination are written. Where the host has the same operation it is one
/// host instruction on 16 bytes, two on 8. EFLAGS stays, unless the instruction sets FPSR.QC.
/// </summary>
internal static unsafe class SimdVectorEmitters
{
    public static bool Operate(BlockEmitter e, Op* op) => Vector(e, op, SimdOperations.Of(op));

    // Whether there is no code for this size of elements, or this host lacks what it takes.
    private static bool Declines(Op* op, VectorOp what) => what.Shape switch
    {
        Shape.Same or Shape.MultiplyAdd or Shape.MultiplySub or Shape.Difference or Shape.DifferenceAccumulate
            or Shape.HalvingAdd or Shape.SaturatingAdd or Shape.SaturatingSub
            or Shape.MultiplyHighDoubling or Shape.MultiplyHighRounding => what.At(op->Extra) == Packed.None,
        Shape.ShiftByRegister => op->Extra < 2 || (op->Extra == 3 && what.Signed),
        Shape.NarrowSigned or Shape.NarrowUnsigned or Shape.NarrowSignedToUnsigned => op->Extra > 1,
        Shape.AesEncrypt or Shape.AesDecrypt or Shape.AesMixColumns or Shape.AesInverseMixColumns => !Aes.IsSupported,
        Shape.PolynomialLong => !Pclmulqdq.IsSupported,
        _ => false,
    };

    private static bool Vector(BlockEmitter e, Op* op, VectorOp what)
    {
        if (Declines(op, what))
        {
            return false;
        }

        int size = op->Extra;
        e.Floats.CheckEnabled(op);
        switch (what.Shape)
        {
            case Shape.Same when op->Shift == 16:
                int left = e.Vectors.Read(op->Rn);
                int right = e.Vectors.Read(op->Rm);
                e.Asm.Packed(what.At(size), e.Vectors.Overwrite(op->Rd), left, right);
                break;
            case >= Shape.DuplicateElement and <= Shape.InsertElement:
                SimdPermuteEmitters.CopyElement(e, op, what.Shape);
                break;
            case Shape.Immediate:
                SimdSequences.Constant(e, 0, op->Imm);
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
            case Shape.OrImmediate:
                SimdSequences.Constant(e, 0, op->Imm);
                e.Asm.Packed(Packed.Or, 0, e.Vectors.Read(op->Rd));
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
            case Shape.ClearImmediate:
                SimdSequences.Constant(e, 0, op->Imm);
                e.Asm.Packed(Packed.AndNot, 0, e.Vectors.Read(op->Rd));
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
            case >= Shape.Lengthen and <= Shape.Dot:
                SimdWideningEmitters.Widen(e, op, what);
                break;
            case >= Shape.Narrow and <= Shape.NarrowSignedToUnsigned:
                SimdShiftEmitters.Narrow(e, op, what);
                break;
            case Shape.AddPair:
                e.Asm.ShuffleWords(0, e.Vectors.Read(op->Rn), 0xEE);
                e.Asm.Packed(Packed.AddD, 0, e.Vectors.Read(op->Rn));
                SimdSequences.StoreVector(e, op->Rd, 8);
                break;
            case Shape.Across:
                SimdPermuteEmitters.AcrossLanes(e, op, what.At(size), e.Vectors.Read(op->Rn), size);
                SimdSequences.StoreVector(e, op->Rd, 1 << size);
                break;
            case Shape.AcrossLong:
                SimdPermuteEmitters.AddAcrossLong(e, op, what.Signed);
                break;
            case >= Shape.AesEncrypt:
                CryptBlock(e, op, what.Shape);
                break;
            default:
                Arithmetic(e, op, what, size);
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
        }

        return true;
    }

    // XMM0 = the result of an operation on elements.
    private static void Arithmetic(BlockEmitter e, Op* op, VectorOp what, int size)
    {
        Packed operation = what.At(size);
        int n = e.Vectors.Read(op->Rn);
        switch (what.Shape)
        {
            case Shape.Same:
                e.Asm.Packed(operation, 0, n, e.Vectors.Read(op->Rm));
                break;
            case Shape.Multiply:
                MultiplyElements(e, n, SimdSequences.Multiplier(e, op, what), operation, size);
                break;
            case Shape.MultiplyAdd:
                MultiplyElements(e, n, SimdSequences.Multiplier(e, op, what), operation, size);
                e.Asm.Packed(SimdOperations.Add.At(size), 0, e.Vectors.Read(op->Rd));
                break;
            case Shape.MultiplySub:
                MultiplyElements(e, n, SimdSequences.Multiplier(e, op, what), operation, size);
                e.Asm.Packed(SimdOperations.Sub.At(size), 0, e.Vectors.Read(op->Rd), 0);
                break;
            case Shape.GreaterOrEqual:
                e.Asm.Packed(operation, 0, e.Vectors.Read(op->Rm), n);
                SimdSequences.Invert(e, 0);
                break;
            case Shape.HigherOrSame or Shape.Higher:
                CompareUnsigned(e, n, e.Vectors.Read(op->Rm), operation, size, orSame: what.Shape == Shape.HigherOrSame);
                break;
            case Shape.Test:
                e.Asm.Packed(Packed.And, 0, n, e.Vectors.Read(op->Rm));
                e.Asm.Packed(Packed.Xor, 1, 1);
                e.Asm.Packed(operation, 0, 1);
                SimdSequences.Invert(e, 0);
                break;
            case Shape.EqualZero or Shape.GreaterZero or Shape.LessOrEqualZero:
                e.Asm.Packed(Packed.Xor, 1, 1);
                e.Asm.Packed(operation, 0, n, 1);
                if (what.Shape == Shape.LessOrEqualZero)
                {
                    SimdSequences.Invert(e, 0);
                }

                break;
            case Shape.LessZero or Shape.GreaterOrEqualZero or Shape.Negate:
                e.Asm.Packed(Packed.Xor, 0, 0);
                e.Asm.Packed(operation, 0, n);
                if (what.Shape == Shape.GreaterOrEqualZero)
                {
                    SimdSequences.Invert(e, 0);
                }

                break;
            case Shape.Absolute when size == 3:
                e.Asm.Packed(Packed.Xor, 1, 1);
                e.Asm.Packed(Packed.GreaterD, 1, n);
                e.Asm.Packed(Packed.Xor, 0, n, 1);
                e.Asm.Packed(Packed.SubD, 0, 1);
                break;
            case Shape.Absolute:
                e.Asm.PackedOne(operation, 0, (Reg)n);
                break;
            case Shape.Not:
                e.Asm.CopyXmm(0, n);
                SimdSequences.Invert(e, 0);
                break;
            case Shape.BitClear:
                e.Asm.Packed(Packed.AndNot, 0, e.Vectors.Read(op->Rm), n);
                break;
            case Shape.OrNot:
                e.Asm.CopyXmm(0, e.Vectors.Read(op->Rm));
                SimdSequences.Invert(e, 0);
                e.Asm.Packed(Packed.Or, 0, n);
                break;
            case Shape.SelectByDestination:
                // m ^ ((m ^ n) & d).
                int m = e.Vectors.Read(op->Rm);
                e.Asm.Packed(Packed.Xor, 0, n, m);
                e.Asm.Packed(Packed.And, 0, e.Vectors.Read(op->Rd));
                e.Asm.Packed(Packed.Xor, 0, m);
                break;
            case Shape.InsertIfTrue or Shape.InsertIfFalse:
                // d ^ ((d ^ n) & m).
                int d = e.Vectors.Read(op->Rd);
                e.Asm.Packed(Packed.Xor, 0, n, d);
                e.Asm.Packed(what.Shape == Shape.InsertIfTrue ? Packed.And : Packed.AndNot, 0, e.Vectors.Read(op->Rm), 0);
                e.Asm.Packed(Packed.Xor, 0, d);
                break;
            case Shape.Difference or Shape.DifferenceAccumulate:
                DifferenceOf(e, n, e.Vectors.Read(op->Rm), what, size);
                if (what.Shape == Shape.DifferenceAccumulate)
                {
                    e.Asm.Packed(SimdOperations.Add.At(size), 0, e.Vectors.Read(op->Rd));
                }

                break;
            case Shape.HalvingAdd:
                Average(e, n, e.Vectors.Read(op->Rm), what, size);
                break;
            case Shape.SaturatingAdd or Shape.SaturatingSub:
                e.Flags.GiveUp();
                e.Asm.Packed(operation, 0, n, e.Vectors.Read(op->Rm));
                VectorOp wrapping = what.Shape == Shape.SaturatingAdd ? SimdOperations.Add : SimdOperations.Sub;
                e.Asm.Packed(wrapping.At(size), 1, n, e.Vectors.Read(op->Rm));
                e.Asm.Packed(SimdOperations.Equal.At(size), 1, 0);
                SimdSequences.NoteSaturation(e, 1, op->Shift);
                break;
            case Shape.MultiplyHighDoubling or Shape.MultiplyHighRounding:
                e.Flags.GiveUp();
                MultiplyHigh(e, op, what, n);
                break;
            case >= Shape.ShiftLeft and <= Shape.ShiftByRegister:
                SimdShiftEmitters.ShiftVector(e, op, what, n, size);
                break;
            default:
                SimdPermuteEmitters.Permute(e, op, what, n, size);
                break;
        }
    }

    /// <summary>
    /// XMM0 = n × m. The host does not multiply bytes: the odd and the even ones are multiplied as halfwords. Uses XMM2.
    /// </summary>
    public static void MultiplyElements(BlockEmitter e, int n, int m, Packed operation, int size)
    {
        if (size != 0)
        {
            e.Asm.Packed(operation, 0, n, m);
            return;
        }

        e.Asm.PackedShift(PackedShift.Right, 2, 0, n, 8);
        e.Asm.PackedShift(PackedShift.Right, 2, 2, m, 8);
        e.Asm.Packed(operation, 0, 2);
        e.Asm.PackedShift(PackedShift.Left, 2, 0, 8);
        e.Asm.Packed(operation, 2, n, m);
        e.Asm.PackedShift(PackedShift.Left, 2, 2, 8);
        e.Asm.PackedShift(PackedShift.Right, 2, 2, 8);
        e.Asm.Packed(Packed.Or, 0, 2);
    }

    // XMM0 = an unsigned comparison. Doublewords are compared as signed ones, with their top bits inverted.
    private static void CompareUnsigned(BlockEmitter e, int n, int m, Packed max, int size, bool orSame)
    {
        if (size == 3)
        {
            SimdSequences.Constant(e, 2, 1ul << 63);
            e.Asm.Packed(Packed.Xor, 0, n, 2);
            e.Asm.Packed(Packed.Xor, 1, m, 2);
            e.Asm.Packed(Packed.GreaterD, 0, orSame ? 1 : 0, orSame ? 0 : 1);
        }
        else
        {
            e.Asm.Packed(max, 0, n, m);
            e.Asm.Packed(SimdOperations.Equal.At(size), 0, orSame ? n : m);
        }

        if (size == 3 ? orSame : !orSame)
        {
            SimdSequences.Invert(e, 0);
        }
    }

    /// <summary>XMM0 = |n - m|. Uses XMM1 when n and m are no longer needed.</summary>
    public static void DifferenceOf(BlockEmitter e, int n, int m, VectorOp what, int size)
    {
        e.Asm.Packed(what.At(size), 0, n, m);
        e.Asm.Packed((what.Signed ? SimdOperations.MinSigned : SimdOperations.MinUnsigned).At(size), 1, n, m);
        e.Asm.Packed(SimdOperations.Sub.At(size), 0, 1);
    }

    // XMM0 = the average of n and m. The host averages unsigned elements, and rounds up.
    private static void Average(BlockEmitter e, int n, int m, VectorOp what, int size)
    {
        if (what.Signed)
        {
            SimdSequences.Constant(e, 2, SimdSequences.SignBits(size));
            e.Asm.Packed(Packed.Xor, 0, n, 2);
            e.Asm.Packed(Packed.Xor, 1, m, 2);
            (n, m) = (0, 1);
        }

        if (!what.Round)
        {
            e.Asm.Packed(Packed.Xor, 3, n, m);
            e.Asm.Packed(what.At(size), 0, n, m);
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(1, size));
            e.Asm.Packed(Packed.And, 3, 1);
            e.Asm.Packed(SimdOperations.Sub.At(size), 0, 3);
        }
        else
        {
            e.Asm.Packed(what.At(size), 0, n, m);
        }

        if (what.Signed)
        {
            e.Asm.Packed(Packed.Xor, 0, 2);
        }
    }

    // XMM0 = the upper half of 2 × n × m, of halfwords. Only (-1) × (-1), in fixed point, saturates: the host gives -1 for it.
    private static void MultiplyHigh(BlockEmitter e, Op* op, VectorOp what, int n)
    {
        int m = SimdSequences.Multiplier(e, op, what);
        if (what.Shape == Shape.MultiplyHighRounding)
        {
            e.Asm.Packed(Packed.MultiplyHighRoundingH, 0, n, m);
        }
        else
        {
            e.Asm.Packed(Packed.MultiplyHighSignedH, 0, n, m);
            e.Asm.Packed(Packed.MultiplyH, 2, n, m);
            e.Asm.Packed(Packed.AddH, 0, 0);
            e.Asm.PackedShift(PackedShift.Right, 2, 2, 15);
            e.Asm.Packed(Packed.Or, 0, 2);
        }

        SimdSequences.Constant(e, 1, SimdSequences.SignBits(1));
        e.Asm.Packed(Packed.EqualH, 1, 0);
        e.Asm.Packed(Packed.Xor, 0, 1);
        SimdSequences.Invert(e, 1);
        SimdSequences.NoteSaturation(e, 1, op->Shift);
    }

    // AESE is ShiftRows(SubBytes(d ^ n)), which is the host's last round with a key of zero. The host has no MixColumns alone: its inverse
    // last round and then its round do it.
    private static void CryptBlock(BlockEmitter e, Op* op, Shape shape)
    {
        int n = e.Vectors.Read(op->Rn);
        e.Asm.Packed(Packed.Xor, 1, 1);
        switch (shape)
        {
            case Shape.AesEncrypt or Shape.AesDecrypt:
                e.Asm.Packed(Packed.Xor, 0, n, e.Vectors.Read(op->Rd));
                e.Asm.Packed(shape == Shape.AesEncrypt ? Packed.AesEncryptLast : Packed.AesDecryptLast, 0, 1);
                break;
            case Shape.AesMixColumns:
                e.Asm.Packed(Packed.AesDecryptLast, 0, n, 1);
                e.Asm.Packed(Packed.AesEncrypt, 0, 1);
                break;
            default:
                e.Asm.PackedOne(Packed.AesInverseMixColumns, 0, (Reg)n);
                break;
        }

        SimdSequences.StoreVector(e, op->Rd, 16);
    }
}
