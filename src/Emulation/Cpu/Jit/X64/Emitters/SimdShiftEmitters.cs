using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// SIMD shifts, by an immediate and by a register, and narrowing. The host has no shifts of bytes and no signed ones of doublewords: these
/// take two to four instructions more.
/// </summary>
internal static unsafe class SimdShiftEmitters
{
    /// <summary>XMM0 = n shifted, and combined with d as the shape says.</summary>
    public static void ShiftVector(BlockEmitter e, Op* op, VectorOp what, int n, int size)
    {
        int bits = 8 << size;
        ulong ones = bits == 64 ? ulong.MaxValue : (1ul << bits) - 1;
        switch (what.Shape)
        {
            case Shape.ShiftLeft or Shape.ShiftLeftInsert:
                ShiftElements(e, PackedShift.Left, 0, n, size, (int)op->Imm);
                if (what.Shape == Shape.ShiftLeftInsert)
                {
                    Insert(e, op, ~(ones << (int)op->Imm) & ones, size);
                }

                break;
            case Shape.ShiftRightInsert:
                int count = -(int)op->Imm;
                ShiftElements(e, PackedShift.Right, 0, n, size, count);
                Insert(e, op, count == bits ? ones : ~(ones >> count) & ones, size);
                break;
            case Shape.ShiftByRegister:
                ShiftEach(e, op, n, what.Signed, size);
                break;
            default:
                ShiftRightElements(e, n, size, -(int)op->Imm, what.Signed, what.Round);
                if (what.Shape == Shape.ShiftRightAccumulate)
                {
                    e.Asm.Packed(SimdOperations.Add.At(size), 0, e.Vectors.Read(op->Rd));
                }

                break;
        }
    }

    // XMM0 gets the bits of d that the mask selects. Uses XMM1.
    private static void Insert(BlockEmitter e, Op* op, ulong mask, int size)
    {
        SimdSequences.Constant(e, 1, SimdSequences.Replicate(mask, size));
        e.Asm.Packed(Packed.And, 1, e.Vectors.Read(op->Rd));
        e.Asm.Packed(Packed.Or, 0, 1);
    }

    /// <summary>A logical shift by 0 to all bits of an element. Uses XMM1.</summary>
    public static void ShiftElements(BlockEmitter e, PackedShift operation, int destination, int source, int size, int count)
    {
        e.Asm.PackedShift(operation, Math.Max(2, 1 << size), destination, source, count);
        if (size == 0)
        {
            // The host shifts halfwords: takes away the bits that came from the neighbour.
            int mask = operation == PackedShift.Left ? (0xFF << count) & 0xFF : 0xFF >> count;
            SimdSequences.Constant(e, 1, SimdSequences.Replicate((ulong)mask, 0));
            e.Asm.Packed(Packed.And, destination, 1);
        }
    }

    /// <summary>
    /// XMM0 = n shifted right by 1 to all bits of an element. Rounding adds the last bit that went out. Uses XMM1 and XMM2.
    /// </summary>
    public static void ShiftRightElements(BlockEmitter e, int n, int size, int count, bool signed, bool round)
    {
        int bits = 8 << size;
        if (round)
        {
            ShiftElements(e, PackedShift.Right, 2, n, size, count - 1);
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(1, size));
            e.Asm.Packed(Packed.And, 2, 1);
        }

        if (!signed)
        {
            ShiftElements(e, PackedShift.Right, 0, n, size, count);
        }
        else if (size is 1 or 2)
        {
            e.Asm.PackedShift(PackedShift.RightSigned, 1 << size, 0, n, count);
        }
        else
        {
            // (x >> count ^ sign) - sign, where sign is the top bit, shifted likewise.
            count = Math.Min(count, bits - 1);
            ShiftElements(e, PackedShift.Right, 0, n, size, count);
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(1ul << (bits - 1 - count), size));
            e.Asm.Packed(Packed.Xor, 0, 1);
            e.Asm.Packed(SimdOperations.Sub.At(size), 0, 1);
        }

        if (round)
        {
            e.Asm.Packed(SimdOperations.Add.At(size), 0, 2);
        }
    }

    // XMM0 = n, shifted by the low byte of each element of m: to the left, or to the right where that is negative. The host too gives zero
    // or the sign for counts of all bits and more.
    private static void ShiftEach(BlockEmitter e, Op* op, int n, bool signed, int size)
    {
        bool wide = size == 3;
        int m = e.Vectors.Read(op->Rm);
        SimdSequences.Constant(e, 1, SimdSequences.Replicate(0xFF, size));
        e.Asm.Packed(Packed.Xor, 2, 2);
        e.Asm.Packed(Packed.SubB, 2, m);
        e.Asm.Packed(Packed.And, 2, 1);
        e.Asm.Packed(Packed.And, 0, m, 1);
        e.Asm.ShiftEach(PackedShift.Left, wide, 0, n, 0);
        e.Asm.ShiftEach(signed ? PackedShift.RightSigned : PackedShift.Right, wide, 2, n, 2);
        if (signed)
        {
            // Brings bit 7 of m, the sign of the count, to the top of every byte.
            e.Asm.PackedShift(PackedShift.Left, 4, 1, m, 24);
            e.Asm.PackedShift(PackedShift.RightSigned, 4, 1, 31);
            e.Asm.Blend(0, 0, 2, 1);
        }
        else
        {
            // One of the two shifts gives zero, unless the count is 0: then both give n.
            e.Asm.Packed(Packed.Or, 0, 2);
        }
    }

    /// <summary>
    /// Narrows elements of twice the size. The result goes to the lower half of d, of which the rest becomes zero, or to the upper half
    /// alone.
    /// </summary>
    public static void Narrow(BlockEmitter e, Op* op, VectorOp what)
    {
        int size = op->Extra;
        int wide = 2 << size;
        int bits = 8 << size;
        int count = -(int)op->Imm;
        int n = e.Vectors.Read(op->Rn);
        switch (what.Shape)
        {
            case Shape.NarrowHigh:
                e.Asm.Packed(what.At(size), 0, n, e.Vectors.Read(op->Rm));
                (n, count) = (0, bits);
                goto default;
            case Shape.NarrowSigned or Shape.NarrowUnsigned or Shape.NarrowSignedToUnsigned:
                e.Flags.GiveUp();
                if (count != 0)
                {
                    ShiftRightElements(e, n, size + 1, count, what.Signed, what.Round);
                    n = 0;
                }

                Saturate(e, what.Shape, n, size);
                break;
            default:
                if (what.Round)
                {
                    SimdSequences.Constant(e, 1, SimdSequences.Replicate(1ul << (count - 1), size + 1));
                    e.Asm.Packed(SimdOperations.Add.At(size + 1), 0, n, 1);
                    n = 0;
                }

                if (count != 0)
                {
                    e.Asm.PackedShift(PackedShift.Right, wide, 0, n, count);
                    n = 0;
                }

                if (n != 0)
                {
                    e.Asm.CopyXmm(0, n);
                }

                SimdSequences.Deinterleave(e, 0, 0, size, odd: false);
                break;
        }

        if (op->Ra == 0)
        {
            SimdSequences.StoreVector(e, op->Rd, 8);
        }
        else
        {
            int d = e.Vectors.Update(op->Rd);
            e.Asm.Packed(Packed.UnpackLowD, d, d, 0);
        }
    }

    // Both halves of XMM0 = n in elements of half the size, saturated. Sets FPSR.QC where one has changed. Uses XMM1 and XMM2.
    private static void Saturate(BlockEmitter e, Shape shape, int n, int size)
    {
        bool signed = shape == Shape.NarrowSigned;
        int packed = n;
        if (shape == Shape.NarrowUnsigned)
        {
            // The host takes its sources as signed, so elements that are too large are cut before.
            SimdSequences.Constant(e, 1, size == 0 ? 0x00FF_00FF_00FF_00FFul : 0x0000_FFFF_0000_FFFFul);
            e.Asm.Packed(size == 0 ? Packed.MinUnsignedH : Packed.MinUnsignedS, 1, n);
            packed = 1;
        }

        e.Asm.Packed(
            signed ? (size == 0 ? Packed.PackSignedH : Packed.PackSignedS) : size == 0 ? Packed.PackH : Packed.PackS,
            2,
            packed,
            packed);
        e.Asm.PackedOne((signed ? SimdOperations.SignExtend : SimdOperations.ZeroExtend).At(size), 1, (Reg)2);
        e.Asm.Packed(SimdOperations.Equal.At(size + 1), 1, n);
        SimdSequences.NoteSaturation(e, 1, 16);
        e.Asm.CopyXmm(0, 2);
    }
}
