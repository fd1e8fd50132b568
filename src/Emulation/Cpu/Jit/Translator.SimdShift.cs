using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// SIMD shifts, by an immediate and by a register, and narrowing. The host lacks shifts of bytes and signed ones of doublewords: two to
/// four instructions more.
/// </content>
internal sealed unsafe partial class Translator
{
    // XMM0 = n shifted, with d as the shape says.
    private void ShiftVector(Op* op, VectorOp what, int n, int size)
    {
        int bits = 8 << size;
        ulong ones = bits == 64 ? ulong.MaxValue : (1ul << bits) - 1;
        switch (what.Shape)
        {
            case Shape.ShiftLeft or Shape.ShiftLeftInsert:
                ShiftElements(PackedShift.Left, 0, n, size, (int)op->Imm);
                if (what.Shape == Shape.ShiftLeftInsert)
                {
                    Insert(op, ~(ones << (int)op->Imm) & ones, size);
                }

                break;
            case Shape.ShiftRightInsert:
                int count = -(int)op->Imm;
                ShiftElements(PackedShift.Right, 0, n, size, count);
                Insert(op, count == bits ? ones : ~(ones >> count) & ones, size);
                break;
            case Shape.ShiftByRegister:
                ShiftEach(op, n, what.Signed, size);
                break;
            default:
                ShiftRightElements(n, size, -(int)op->Imm, what.Signed, what.Round);
                if (what.Shape == Shape.ShiftRightAccumulate)
                {
                    _a.Packed(s_add.At(size), 0, Vec(op->Rd));
                }

                break;
        }
    }

    // XMM0 gets the bits of d that the mask selects. Uses XMM1.
    private void Insert(Op* op, ulong mask, int size)
    {
        Constant(1, Replicate(mask, size));
        _a.Packed(Packed.And, 1, Vec(op->Rd));
        _a.Packed(Packed.Or, 0, 1);
    }

    // Logical, by 0 to all bits of an element. Uses XMM1.
    private void ShiftElements(PackedShift operation, int destination, int source, int size, int count)
    {
        _a.PackedShift(operation, Math.Max(2, 1 << size), destination, source, count);
        if (size == 0)
        {
            // Bits that came from the neighbour.
            int mask = operation == PackedShift.Left ? (0xFF << count) & 0xFF : 0xFF >> count;
            Constant(1, Replicate((ulong)mask, 0));
            _a.Packed(Packed.And, destination, 1);
        }
    }

    // XMM0 = n shifted right by 1 to all bits of an element; rounded by adding the last bit that went out. Uses XMM1 and XMM2.
    private void ShiftRightElements(int n, int size, int count, bool signed, bool round)
    {
        int bits = 8 << size;
        if (round)
        {
            ShiftElements(PackedShift.Right, 2, n, size, count - 1);
            Constant(1, Replicate(1, size));
            _a.Packed(Packed.And, 2, 1);
        }

        if (!signed)
        {
            ShiftElements(PackedShift.Right, 0, n, size, count);
        }
        else if (size is 1 or 2)
        {
            _a.PackedShift(PackedShift.RightSigned, 1 << size, 0, n, count);
        }
        else
        {
            // (x >> count ^ sign) - sign, where sign is what has become of the top bit.
            count = Math.Min(count, bits - 1);
            ShiftElements(PackedShift.Right, 0, n, size, count);
            Constant(1, Replicate(1ul << (bits - 1 - count), size));
            _a.Packed(Packed.Xor, 0, 1);
            _a.Packed(s_sub.At(size), 0, 1);
        }

        if (round)
        {
            _a.Packed(s_add.At(size), 0, 2);
        }
    }

    // By the low byte of each element of m, to the right where it is negative. Counts of all bits and more give zero or the sign on the
    // host too.
    private void ShiftEach(Op* op, int n, bool signed, int size)
    {
        bool wide = size == 3;
        int m = Vec(op->Rm);
        Constant(1, Replicate(0xFF, size));
        _a.Packed(Packed.Xor, 2, 2);
        _a.Packed(Packed.SubB, 2, m);
        _a.Packed(Packed.And, 2, 1);
        _a.Packed(Packed.And, 0, m, 1);
        _a.ShiftEach(PackedShift.Left, wide, 0, n, 0);
        _a.ShiftEach(signed ? PackedShift.RightSigned : PackedShift.Right, wide, 2, n, 2);
        if (signed)
        {
            // Bit 7 of m to the top of every byte: the sign of the count.
            _a.PackedShift(PackedShift.Left, 4, 1, m, 24);
            _a.PackedShift(PackedShift.RightSigned, 4, 1, 31);
            _a.Blend(0, 0, 2, 1);
        }
        else
        {
            // A count of zero is one to the left and to the right alike; of all others one of both gives zero.
            _a.Packed(Packed.Or, 0, 2);
        }
    }

    // Elements of twice the size to the lower half, the rest zero, or to the upper half alone.
    private void Narrow(Op* op, VectorOp what)
    {
        int size = op->Extra;
        int wide = 2 << size;
        int bits = 8 << size;
        int count = -(int)op->Imm;
        int n = Vec(op->Rn);
        switch (what.Shape)
        {
            case Shape.NarrowHigh:
                _a.Packed(what.At(size), 0, n, Vec(op->Rm));
                (n, count) = (0, bits);
                goto default;
            case Shape.NarrowSigned or Shape.NarrowUnsigned or Shape.NarrowSignedToUnsigned:
                LoseHostFlags();
                if (count != 0)
                {
                    ShiftRightElements(n, size + 1, count, what.Signed, what.Round);
                    n = 0;
                }

                Saturate(what.Shape, n, size);
                break;
            default:
                if (what.Round)
                {
                    Constant(1, Replicate(1ul << (count - 1), size + 1));
                    _a.Packed(s_add.At(size + 1), 0, n, 1);
                    n = 0;
                }

                if (count != 0)
                {
                    _a.PackedShift(PackedShift.Right, wide, 0, n, count);
                    n = 0;
                }

                if (n != 0)
                {
                    _a.CopyXmm(0, n);
                }

                Deinterleave(0, 0, size, odd: false);
                break;
        }

        if (op->Ra == 0)
        {
            StoreVector(op->Rd, 8);
        }
        else
        {
            int d = Update(op->Rd);
            _a.Packed(Packed.UnpackLowD, d, d, 0);
        }
    }

    // XMM0 = n in elements of half the size, twice; FPSR.QC where that is not what n was. Uses XMM1 and XMM2.
    private void Saturate(Shape shape, int n, int size)
    {
        bool signed = shape == Shape.NarrowSigned;
        int packed = n;
        if (shape == Shape.NarrowUnsigned)
        {
            // The host packs signed elements: what is too large for them is cut before.
            Constant(1, size == 0 ? 0x00FF_00FF_00FF_00FFul : 0x0000_FFFF_0000_FFFFul);
            _a.Packed(size == 0 ? Packed.MinUnsignedH : Packed.MinUnsignedS, 1, n);
            packed = 1;
        }

        _a.Packed(
            signed ? (size == 0 ? Packed.PackSignedH : Packed.PackSignedS) : size == 0 ? Packed.PackH : Packed.PackS,
            2,
            packed,
            packed);
        _a.PackedOne((signed ? s_signExtend : s_zeroExtend).At(size), 1, (Reg)2);
        _a.Packed(s_equal.At(size + 1), 1, n);
        NoteSaturation(1, 16);
        _a.CopyXmm(0, 2);
    }
}
