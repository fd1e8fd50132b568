using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Integer SIMD with the host's packed instructions of SSE2 to SSE4.2, where one to ten of them do it. V registers stay in memory: an operation loads its
/// operands into XMM0–XMM3 and stores all 16 bytes, so that what loads them next is forwarded. Host flags stay as they are.
/// </content>
internal sealed unsafe partial class Translator
{
    private enum Shape
    {
        None,

        /// <summary>n op m.</summary>
        Same,

        /// <summary>op n.</summary>
        One,

        /// <summary>d + n × m, d - n × m: the operation is the multiplication.</summary>
        MultiplyAdd,
        MultiplySub,

        /// <summary>Not (m &gt; n).</summary>
        GreaterOrEqual,

        /// <summary>Unsigned, by maximum and equality: max(n, m) = n; not max(n, m) = m.</summary>
        HigherOrSame,
        Higher,
        Test,

        /// <summary>Comparisons with zero.</summary>
        EqualZero,
        GreaterZero,
        GreaterOrEqualZero,
        LessOrEqualZero,
        LessZero,
        Not,
        Negate,
        BitClear,
        OrNot,
        SelectByDestination,
        InsertIfTrue,
        InsertIfFalse,

        /// <summary>Adjacent elements of m:n.</summary>
        Pairwise,
        Even,
        Odd,
        ZipLow,
        ZipHigh,
        Extract,
        DuplicateElement,
        DuplicateGeneral,
        MoveUnsigned,
        MoveSigned32,
        MoveSigned64,
        InsertGeneral,
        InsertElement,
        Immediate,
        OrImmediate,
        ClearImmediate,
        ShiftLeft,
        ShiftRight,
        ShiftRightSigned,
        ShiftRightAccumulate,
        ShiftRightSignedAccumulate,
        Lengthen,
        Narrow,
        AddPair,
    }

    // What an encoding does, with the host's operation by log2 of the element size; None where the host has no such operation.
    private readonly record struct VectorOp(Shape Shape, Packed B = Packed.None, Packed H = Packed.None, Packed S = Packed.None, Packed D = Packed.None)
    {
        public Packed At(int size) => size switch { 0 => B, 1 => H, 2 => S, _ => D };
    }

    private static readonly VectorOp s_equal = new(Shape.Same, Packed.EqualB, Packed.EqualH, Packed.EqualS, Packed.EqualD);
    private static readonly VectorOp s_greater = new(Shape.Same, Packed.GreaterB, Packed.GreaterH, Packed.GreaterS, Packed.GreaterD);
    private static readonly VectorOp s_add = new(Shape.Same, Packed.AddB, Packed.AddH, Packed.AddS, Packed.AddD);
    private static readonly VectorOp s_sub = new(Shape.Same, Packed.SubB, Packed.SubH, Packed.SubS, Packed.SubD);
    private static readonly VectorOp s_maxUnsigned = new(Shape.Same, Packed.MaxUnsignedB, Packed.MaxUnsignedH, Packed.MaxUnsignedS);
    private static readonly VectorOp s_minUnsigned = new(Shape.Same, Packed.MinUnsignedB, Packed.MinUnsignedH, Packed.MinUnsignedS);
    private static readonly VectorOp s_maxSigned = new(Shape.Same, Packed.MaxSignedB, Packed.MaxSignedH, Packed.MaxSignedS);
    private static readonly VectorOp s_minSigned = new(Shape.Same, Packed.MinSignedB, Packed.MinSignedH, Packed.MinSignedS);
    private static readonly VectorOp s_multiply = new(Shape.Same, H: Packed.MultiplyH, S: Packed.MultiplyS);

    private static readonly VectorOp[] s_vectorOps = [.. EncodingTable.Rows.Select(row => OfMnemonic(row.Mnemonic))];

    private static bool HasVectorOperation(string mnemonic) => OfMnemonic(mnemonic).Shape != Shape.None;

    private static VectorOp Bitwise(Packed operation) => new(Shape.Same, operation, operation, operation, operation);

    private static VectorOp OfMnemonic(string mnemonic) => mnemonic switch
    {
        "ADD (vector)" or "ADD (scalar)" => s_add,
        "SUB (vector)" or "SUB (scalar)" => s_sub,
        "MUL (vector)" => s_multiply,
        "MLA (vector)" => s_multiply with { Shape = Shape.MultiplyAdd },
        "MLS (vector)" => s_multiply with { Shape = Shape.MultiplySub },
        "CMEQ (register)" or "CMEQ (register, scalar)" => s_equal,
        "CMGT (register)" or "CMGT (register, scalar)" => s_greater,
        "CMGE (register)" or "CMGE (register, scalar)" => s_greater with { Shape = Shape.GreaterOrEqual },
        "CMHS (register)" => s_maxUnsigned with { Shape = Shape.HigherOrSame },
        "CMHI (register)" => s_maxUnsigned with { Shape = Shape.Higher },
        "CMTST" or "CMTST (scalar)" => s_equal with { Shape = Shape.Test },
        "CMEQ (zero)" or "CMEQ (zero, scalar)" => s_equal with { Shape = Shape.EqualZero },
        "CMGT (zero)" or "CMGT (zero, scalar)" => s_greater with { Shape = Shape.GreaterZero },
        "CMGE (zero)" or "CMGE (zero, scalar)" => s_greater with { Shape = Shape.GreaterOrEqualZero },
        "CMLE (zero)" or "CMLE (zero, scalar)" => s_greater with { Shape = Shape.LessOrEqualZero },
        "CMLT (zero)" or "CMLT (zero, scalar)" => s_greater with { Shape = Shape.LessZero },
        "SMAX" => s_maxSigned,
        "SMIN" => s_minSigned,
        "UMAX" => s_maxUnsigned,
        "UMIN" => s_minUnsigned,
        "URHADD" => new(Shape.Same, Packed.AverageB, Packed.AverageH),
        "AND (vector)" => Bitwise(Packed.And),
        "ORR (vector, register)" => Bitwise(Packed.Or),
        "EOR (vector)" => Bitwise(Packed.Xor),
        "BIC (vector, register)" => new(Shape.BitClear),
        "ORN (vector)" => new(Shape.OrNot),
        "BSL" => new(Shape.SelectByDestination),
        "BIT" => new(Shape.InsertIfTrue),
        "BIF" => new(Shape.InsertIfFalse),
        "NOT" => new(Shape.Not),
        "NEG (vector)" or "NEG (scalar)" => s_sub with { Shape = Shape.Negate },
        "ABS" => new(Shape.One, Packed.AbsoluteB, Packed.AbsoluteH, Packed.AbsoluteS),
        "ADDP (vector)" => s_add with { Shape = Shape.Pairwise },
        "SMAXP" => s_maxSigned with { Shape = Shape.Pairwise },
        "SMINP" => s_minSigned with { Shape = Shape.Pairwise },
        "UMAXP" => s_maxUnsigned with { Shape = Shape.Pairwise },
        "UMINP" => s_minUnsigned with { Shape = Shape.Pairwise },
        "ADDP (scalar)" => new(Shape.AddPair),
        "UZP1" => new(Shape.Even),
        "UZP2" => new(Shape.Odd),
        "ZIP1" => new(Shape.ZipLow, Packed.UnpackLowB, Packed.UnpackLowH, Packed.UnpackLowS, Packed.UnpackLowD),
        "ZIP2" => new(Shape.ZipHigh, Packed.UnpackHighB, Packed.UnpackHighH, Packed.UnpackHighS, Packed.UnpackHighD),
        "EXT" => new(Shape.Extract),
        "DUP (element)" or "DUP (element, scalar)" => new(Shape.DuplicateElement),
        "DUP (general)" => new(Shape.DuplicateGeneral),
        "UMOV 32" or "UMOV 64" => new(Shape.MoveUnsigned),
        "SMOV 32" => new(Shape.MoveSigned32),
        "SMOV 64" => new(Shape.MoveSigned64),
        "INS (general)" => new(Shape.InsertGeneral),
        "INS (element)" => new(Shape.InsertElement),
        "MOVI, MVNI 32" or "MOVI, MVNI 16" or "MOVI, MVNI shifting ones" or "MOVI 8 and 64" => new(Shape.Immediate),
        "ORR (vector, immediate) 32" or "ORR (vector, immediate) 16" => new(Shape.OrImmediate),
        "BIC (vector, immediate) 32" or "BIC (vector, immediate) 16" => new(Shape.ClearImmediate),
        "SHL" or "SHL (scalar)" => new(Shape.ShiftLeft),
        "USHR" or "USHR (scalar)" => new(Shape.ShiftRight),
        "SSHR" => new(Shape.ShiftRightSigned),
        "USRA" or "USRA (scalar)" => s_add with { Shape = Shape.ShiftRightAccumulate },
        "SSRA" => s_add with { Shape = Shape.ShiftRightSignedAccumulate },
        "USHLL" => new(Shape.Lengthen, Packed.ZeroExtendB, Packed.ZeroExtendH, Packed.ZeroExtendS),
        "SSHLL" => new(Shape.Lengthen, Packed.SignExtendB, Packed.SignExtendH, Packed.SignExtendS),
        "XTN" or "SHRN" => new(Shape.Narrow),
        _ => default,
    };

    private static bool VectorOperation(Translator t, Op* op) => t.Vector(op, s_vectorOps[op->Row]);

    private bool Vector(Op* op, VectorOp what)
    {
        int size = op->Extra;
        Packed operation = what.At(size);
        switch (what.Shape)
        {
            case Shape.ShiftRightSigned or Shape.ShiftRightSignedAccumulate when size is 0 or 3:
                return false;
            case Shape.Same or Shape.One or Shape.MultiplyAdd or Shape.MultiplySub or Shape.HigherOrSame or Shape.Higher when operation == Packed.None:
                return false;
        }

        CheckFp(op);
        switch (what.Shape)
        {
            case Shape.MoveUnsigned or Shape.MoveSigned32 or Shape.MoveSigned64:
                MoveToGeneral(op, what.Shape);
                return true;
            case Shape.InsertGeneral:
                StoreSized(Lane(op->Rd, op), In(op->Rn, Rdx), 1 << size);
                return true;
            case Shape.InsertElement:
                LoadSized(Rdx, HostRegisters.VectorByte(op->Rn, op->Ra << size), 1 << size, signed: false, wide: false);
                StoreSized(Lane(op->Rd, op), Rdx, 1 << size);
                return true;
            case Shape.DuplicateElement:
                LoadSized(Rdx, Lane(op->Rn, op), 1 << size, signed: false, wide: false);
                Duplicate(op, Rdx);
                return true;
            case Shape.DuplicateGeneral:
                Duplicate(op, In(op->Rn, Rdx));
                return true;
            case Shape.Immediate:
                Constant(0, op->Imm);
                break;
            case Shape.OrImmediate:
                LoadVector(0, op->Rd);
                Constant(1, op->Imm);
                _a.Packed(Packed.Or, 0, 1);
                break;
            case Shape.ClearImmediate:
                LoadVector(1, op->Rd);
                Constant(0, op->Imm);
                _a.Packed(Packed.AndNot, 0, 1);
                break;
            case Shape.Narrow:
                NarrowVector(op);
                return true;
            case Shape.Lengthen:
                _a.LoadXmm64(0, HostRegisters.VectorByte(op->Rn, op->Ra));
                _a.Packed(operation, 0, 0);
                if (op->Imm != 0)
                {
                    _a.PackedShift(PackedShift.Left, 2 << size, 0, (int)op->Imm);
                }

                StoreVector(op->Rd, 16);
                return true;
            case Shape.AddPair:
                _a.LoadXmm(0, HostRegisters.Vector(op->Rn));
                _a.ShuffleWords(1, 0, 0xEE);
                _a.Packed(Packed.AddD, 0, 1);
                break;
            default:
                LoadVector(0, op->Rn);
                Arithmetic(op, what.Shape, operation, size);
                break;
        }

        StoreVector(op->Rd, op->Shift);
        return true;
    }

    // XMM0 = n on entry, the result on exit.
    private void Arithmetic(Op* op, Shape shape, Packed operation, int size)
    {
        switch (shape)
        {
            case Shape.Same:
                LoadVector(1, op->Rm);
                _a.Packed(operation, 0, 1);
                break;
            case Shape.One:
                _a.Packed(operation, 0, 0);
                break;
            case Shape.MultiplyAdd:
                LoadVector(1, op->Rm);
                LoadVector(2, op->Rd);
                _a.Packed(operation, 0, 1);
                _a.Packed(s_add.At(size), 0, 2);
                break;
            case Shape.MultiplySub:
                LoadVector(1, op->Rm);
                LoadVector(2, op->Rd);
                _a.Packed(operation, 1, 0);
                _a.CopyXmm(0, 2);
                _a.Packed(s_sub.At(size), 0, 1);
                break;
            case Shape.GreaterOrEqual:
                _a.CopyXmm(1, 0);
                LoadVector(0, op->Rm);
                _a.Packed(operation, 0, 1);
                Invert(0);
                break;
            case Shape.HigherOrSame:
                LoadVector(1, op->Rm);
                _a.Packed(operation, 1, 0);
                _a.Packed(s_equal.At(size), 0, 1);
                break;
            case Shape.Higher:
                LoadVector(1, op->Rm);
                _a.Packed(operation, 0, 1);
                _a.Packed(s_equal.At(size), 0, 1);
                Invert(0);
                break;
            case Shape.Test:
                LoadVector(1, op->Rm);
                _a.Packed(Packed.And, 0, 1);
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(operation, 0, 1);
                Invert(0);
                break;
            case Shape.EqualZero or Shape.GreaterZero or Shape.LessOrEqualZero:
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(operation, 0, 1);
                if (shape == Shape.LessOrEqualZero)
                {
                    Invert(0);
                }

                break;
            case Shape.LessZero or Shape.GreaterOrEqualZero or Shape.Negate:
                _a.CopyXmm(1, 0);
                _a.Packed(Packed.Xor, 0, 0);
                _a.Packed(operation, 0, 1);
                if (shape == Shape.GreaterOrEqualZero)
                {
                    Invert(0);
                }

                break;
            case Shape.Not:
                Invert(0);
                break;
            case Shape.BitClear:
                _a.CopyXmm(1, 0);
                LoadVector(0, op->Rm);
                _a.Packed(Packed.AndNot, 0, 1);
                break;
            case Shape.OrNot:
                LoadVector(1, op->Rm);
                Invert(1);
                _a.Packed(Packed.Or, 0, 1);
                break;
            case Shape.SelectByDestination:
                // m ^ ((m ^ n) & d).
                LoadVector(1, op->Rm);
                LoadVector(2, op->Rd);
                _a.Packed(Packed.Xor, 0, 1);
                _a.Packed(Packed.And, 0, 2);
                _a.Packed(Packed.Xor, 0, 1);
                break;
            case Shape.InsertIfTrue or Shape.InsertIfFalse:
                // d ^ ((d ^ n) & m).
                LoadVector(1, op->Rm);
                LoadVector(2, op->Rd);
                _a.Packed(Packed.Xor, 0, 2);
                _a.Packed(shape == Shape.InsertIfTrue ? Packed.And : Packed.AndNot, 1, 0);
                _a.CopyXmm(0, 1);
                _a.Packed(Packed.Xor, 0, 2);
                break;
            case Shape.Pairwise:
                LoadPair(op);
                _a.CopyXmm(2, 0);
                _a.CopyXmm(3, 1);
                Deinterleave(0, 1, size, odd: false);
                Deinterleave(2, 3, size, odd: true);
                _a.Packed(operation, 0, 2);
                break;
            case Shape.Even or Shape.Odd:
                LoadPair(op);
                Deinterleave(0, 1, size, odd: shape == Shape.Odd);
                break;
            case Shape.ZipLow:
                LoadVector(1, op->Rm);
                _a.Packed(operation, 0, 1);
                break;
            case Shape.ZipHigh:
                LoadVector(1, op->Rm);
                _a.Packed(op->Shift == 16 ? operation : (Packed)((int)operation - (int)Packed.UnpackHighB + (int)Packed.UnpackLowB), 0, 1);
                if (op->Shift == 8)
                {
                    _a.ShiftBytesRight(0, 8);
                }

                break;
            case Shape.Extract:
                LoadPair(op);
                if (op->Shift == 16)
                {
                    _a.AlignRight(1, 0, (int)op->Imm);
                    _a.CopyXmm(0, 1);
                }
                else
                {
                    _a.ShiftBytesRight(0, (int)op->Imm);
                }

                break;
            default:
                ShiftVector(op, shape, size);
                break;
        }
    }

    private void ShiftVector(Op* op, Shape shape, int size)
    {
        bool left = shape == Shape.ShiftLeft;
        bool signed = shape is Shape.ShiftRightSigned or Shape.ShiftRightSignedAccumulate;
        int count = left ? (int)op->Imm : -(int)op->Imm;
        _a.PackedShift(left ? PackedShift.Left : signed ? PackedShift.RightSigned : PackedShift.Right, Math.Max(2, 1 << size), 0, count);
        if (size == 0)
        {
            // Bits that came from the neighbour.
            int mask = left ? (0xFF << count) & 0xFF : 0xFF >> count;
            Constant(1, (ulong)mask * 0x0101_0101_0101_0101);
            _a.Packed(Packed.And, 0, 1);
        }

        if (shape is Shape.ShiftRightAccumulate or Shape.ShiftRightSignedAccumulate)
        {
            LoadVector(1, op->Rd);
            _a.Packed(s_add.At(size), 0, 1);
        }
    }

    // XTN, SHRN: elements of twice the size, shifted right and cut. To the lower half, the rest zero, or to the upper alone.
    private void NarrowVector(Op* op)
    {
        LoadVector(0, op->Rn);
        int count = -(int)op->Imm;
        if (count != 0)
        {
            _a.PackedShift(PackedShift.Right, 2 << op->Extra, 0, count);
        }

        Deinterleave(0, 0, op->Extra, odd: false);
        if (op->Ra == 0)
        {
            StoreVector(op->Rd, 8);
        }
        else
        {
            _a.StoreXmm64(HostRegisters.Vector(op->Rd, 1), 0);
        }
    }

    // XMM0 and XMM1 = n and m; both m:n where they have 8 bytes. XMM0 has n already.
    private void LoadPair(Op* op)
    {
        LoadVector(1, op->Rm);
        if (op->Shift == 8)
        {
            _a.Packed(Packed.UnpackLowD, 0, 1);
            _a.CopyXmm(1, 0);
        }
    }

    // low = the even or the odd elements of high:low. High is lost.
    private void Deinterleave(int low, int high, int size, bool odd)
    {
        if (size >= 2)
        {
            if (size == 2)
            {
                _a.ShuffleTwo(low, high, odd ? 0xDD : 0x88);
            }
            else
            {
                _a.Packed(odd ? Packed.UnpackHighD : Packed.UnpackLowD, low, high);
            }

            return;
        }

        int wide = 2 << size;
        int bits = 8 << size;
        foreach (int register in low == high ? [low] : (ReadOnlySpan<int>)[low, high])
        {
            if (!odd)
            {
                _a.PackedShift(PackedShift.Left, wide, register, bits);
            }

            _a.PackedShift(PackedShift.Right, wide, register, bits);
        }

        _a.Packed(size == 0 ? Packed.PackH : Packed.PackS, low, high);
    }

    private void MoveToGeneral(Op* op, Shape shape)
    {
        Reg target = Target(op->Rd, Rdx);
        LoadSized(target, Lane(op->Rn, op), 1 << op->Extra, signed: shape != Shape.MoveUnsigned, wide: shape == Shape.MoveSigned64);
        Out(op->Rd, target);
    }

    private void Duplicate(Op* op, Reg source)
    {
        _a.LoadXmmGeneral(true, 0, source);
        switch (op->Extra)
        {
            case 0:
                _a.Packed(Packed.Xor, 1, 1);
                _a.Packed(Packed.ShuffleB, 0, 1);
                break;
            case 1:
                _a.ShuffleLowHalfwords(0, 0, 0);
                _a.Packed(Packed.UnpackLowD, 0, 0);
                break;
            case 2:
                _a.ShuffleWords(0, 0, 0);
                break;
            default:
                _a.Packed(Packed.UnpackLowD, 0, 0);
                break;
        }

        StoreVector(op->Rd, op->Shift);
    }

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

    private void LoadVector(int register, int vector) => _a.LoadXmm(register, HostRegisters.Vector(vector));

    // XMM0 to a V register: so many low bytes, 1 to 8 or 16; the rest is zero.
    private void StoreVector(int vector, int bytes)
    {
        if (bytes == 8)
        {
            _a.LoadXmm64(0, (Reg)0);
        }
        else if (bytes < 8)
        {
            // Past the wanted bytes there may be anything.
            _a.StoreXmmGeneral(false, Rdx, 0);
            if (bytes < 4)
            {
                LoadSized(Rdx, Rdx, bytes, signed: false, wide: false);
            }

            _a.LoadXmmGeneral(false, 0, Rdx);
        }

        _a.StoreXmm(HostRegisters.Vector(vector), 0);
    }

    // The element that Imm names.
    private static Operand Lane(int vector, Op* op) => HostRegisters.VectorByte(vector, (int)op->Imm << op->Extra);
}
