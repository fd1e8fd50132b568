using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>SIMD that moves elements: interleaving, table look-up, reversal, copies of elements, and what works across lanes.</summary>
internal static unsafe class SimdPermuteEmitters
{
    // XMM0 = the result.
    public static void Permute(BlockEmitter e, Op* op, VectorOp what, int n, int size)
    {
        switch (what.Shape)
        {
            case Shape.Pairwise:
                LoadPair(e, op, n);
                e.Asm.CopyXmm(2, 0);
                e.Asm.CopyXmm(3, 1);
                SimdSequences.Deinterleave(e, 0, 1, size, odd: false);
                SimdSequences.Deinterleave(e, 2, 3, size, odd: true);
                e.Asm.Packed(what.At(size), 0, 2);
                break;
            case Shape.Even or Shape.Odd:
                LoadPair(e, op, n);
                SimdSequences.Deinterleave(e, 0, 1, size, odd: what.Shape == Shape.Odd);
                break;
            case Shape.TransposeEven or Shape.TransposeOdd:
                Transpose(e, n, e.Vectors.Read(op->Rm), size, odd: what.Shape == Shape.TransposeOdd);
                break;
            case Shape.ZipLow:
                e.Asm.Packed(what.At(size), 0, n, e.Vectors.Read(op->Rm));
                break;
            case Shape.ZipHigh when op->Shift == 8:
                e.Asm.Packed(what.At(size) - Packed.UnpackHighB + Packed.UnpackLowB, 0, n, e.Vectors.Read(op->Rm));
                e.Asm.ShiftBytesRight(0, 0, 8);
                break;
            case Shape.ZipHigh:
                e.Asm.Packed(what.At(size), 0, n, e.Vectors.Read(op->Rm));
                break;
            case Shape.Extract:
                LoadPair(e, op, n);
                e.Asm.AlignRight(0, 1, 0, (int)op->Imm);
                break;
            case Shape.TableLookup or Shape.TableExtension:
                LookUpTable(e, op, extends: what.Shape == Shape.TableExtension);
                break;
            case Shape.Reverse:
                // REV64, REV32, REV16 by opcode<0> and U.
                ReverseElements(e, n, size, (op->Word & (1u << 12)) != 0 ? 2 : (op->Word & (1u << 29)) != 0 ? 4 : 8);
                break;
            case Shape.CountBits:
                NibblePairs(e, n, 0x0302_0201_0201_0100, 0x0403_0302_0302_0201, 0x0302_0201_0201_0100, 0x0403_0302_0302_0201);
                e.Asm.Packed(Packed.AddB, 0, 1);
                break;
            case Shape.ReverseBits:
                NibblePairs(e, n, 0xE060_A020_C040_8000, 0xF070_B030_D050_9010, 0x0E06_0A02_0C04_0800, 0x0F07_0B03_0D05_0901);
                e.Asm.Packed(Packed.Or, 0, 1);
                break;
            default:
                throw new InvalidOperationException($"{what.Shape} has no code");
        }
    }

    // XMM0 = n and XMM1 = m. For vectors of 8 bytes both are m:n.
    public static void LoadPair(BlockEmitter e, Op* op, int n)
    {
        if (op->Shift == 8)
        {
            e.Asm.Packed(Packed.UnpackLowD, 0, n, e.Vectors.Read(op->Rm));
            e.Asm.CopyXmm(1, 0);
        }
        else
        {
            e.Asm.CopyXmm(1, e.Vectors.Read(op->Rm));
            e.Asm.CopyXmm(0, n);
        }
    }

    /// <summary>XMM0 = the even or the odd elements of n, each followed by that of m.</summary>
    public static void Transpose(BlockEmitter e, int n, int m, int size, bool odd)
    {
        if (size == 3)
        {
            e.Asm.Packed(odd ? Packed.UnpackHighD : Packed.UnpackLowD, 0, n, m);
            return;
        }

        int wide = 2 << size;
        int bits = 8 << size;
        if (odd)
        {
            e.Asm.PackedShift(PackedShift.Right, wide, 0, n, bits);
            e.Asm.PackedShift(PackedShift.Right, wide, 1, m, bits);
            e.Asm.PackedShift(PackedShift.Left, wide, 1, bits);
        }
        else
        {
            e.Asm.PackedShift(PackedShift.Left, wide, 0, n, bits);
            e.Asm.PackedShift(PackedShift.Right, wide, 0, bits);
            e.Asm.PackedShift(PackedShift.Left, wide, 1, m, bits);
        }

        e.Asm.Packed(Packed.Or, 0, 1);
    }

    // XMM0 = TBL or TBX. PSHUFB gives zero for an index with its top bit set; 70h added with saturation sets that bit of indices from 16
    // on. Each register of the table takes five instructions.
    private static void LookUpTable(BlockEmitter e, Op* op, bool extends)
    {
        int indices = e.Vectors.Read(op->Rm);
        int registers = (int)op->Imm / 16;
        for (int i = 0; i < registers; i++)
        {
            int target = i == 0 ? 0 : 1;
            SimdSequences.Constant(e, 2, SimdSequences.Replicate(0x70, 0));
            if (i == 0)
            {
                e.Asm.Packed(Packed.AddSaturatingUnsignedB, 1, indices, 2);
            }
            else
            {
                SimdSequences.Constant(e, 3, SimdSequences.Replicate((ulong)i * 16, 0));
                e.Asm.Packed(Packed.SubB, 1, indices, 3);
                e.Asm.Packed(Packed.AddSaturatingUnsignedB, 1, 2);
            }

            e.Asm.Packed(Packed.ShuffleB, target, e.Vectors.Read((op->Rn + i) % 32), 1);
            if (i > 0)
            {
                e.Asm.Packed(Packed.Or, 0, 1);
            }
        }

        if (extends)
        {
            // Where the index is outside the table, TBX keeps the byte of d.
            SimdSequences.Constant(e, 1, SimdSequences.Replicate(op->Imm, 0));
            e.Asm.Packed(Packed.MaxUnsignedB, 1, indices);
            e.Asm.Packed(Packed.EqualB, 1, indices);
            e.Asm.Packed(Packed.And, 1, e.Vectors.Read(op->Rd));
            e.Asm.Packed(Packed.Or, 0, 1);
        }
    }

    /// <summary>XMM0 = n with the elements of each container in the other order. Uses XMM1 and RDX.</summary>
    /// <param name="container">Bytes of a container: 2, 4 or 8.</param>
    public static void ReverseElements(BlockEmitter e, int n, int size, int container)
    {
        ulong order = 0;
        for (int i = 0; i < 8; i++)
        {
            order |= (ulong)(i ^ (container - 1) ^ ((1 << size) - 1)) << (8 * i);
        }

        SimdSequences.Constant(e, 1, order, order + SimdSequences.Replicate(8, 0));
        e.Asm.Packed(Packed.ShuffleB, 0, n, 1);
    }

    // XMM0 = a table of 16 bytes, looked up by the lower four bits of each byte; XMM1 = another, by the upper four bits.
    private static void NibblePairs(BlockEmitter e, int n, ulong low, ulong lowUpper, ulong high, ulong highUpper)
    {
        SimdSequences.Constant(e, 2, SimdSequences.Replicate(0xF, 0));
        e.Asm.PackedShift(PackedShift.Right, 4, 1, n, 4);
        e.Asm.Packed(Packed.And, 1, 2);
        e.Asm.Packed(Packed.And, 2, n);
        SimdSequences.Constant(e, 0, low, lowUpper);
        e.Asm.Packed(Packed.ShuffleB, 0, 2);
        SimdSequences.Constant(e, 3, high, highUpper);
        e.Asm.Packed(Packed.ShuffleB, 1, 3, 1);
    }

    // DUP, INS, UMOV, SMOV.
    public static void CopyElement(BlockEmitter e, Op* op, Shape shape)
    {
        int size = op->Extra;
        int index = (int)op->Imm;
        switch (shape)
        {
            case Shape.InsertGeneral:
                int d = e.Vectors.Update(op->Rd);
                e.Asm.InsertElement(size, d, d, e.Registers.In(op->Rn, Rdx), index);
                break;
            case Shape.InsertElement:
                e.Asm.ExtractElement(size, Rdx, e.Vectors.Read(op->Rn), op->Ra);
                d = e.Vectors.Update(op->Rd);
                e.Asm.InsertElement(size, d, d, Rdx, index);
                break;
            case Shape.DuplicateElement:
                SimdSequences.Broadcast(e, 0, e.Vectors.Read(op->Rn), size, index);
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
            case Shape.DuplicateGeneral:
                e.Asm.LoadXmmGeneral(size == 3, 0, e.Registers.In(op->Rn, Rdx));
                SimdSequences.Broadcast(e, 0, 0, size, 0);
                SimdSequences.StoreVector(e, op->Rd, op->Shift);
                break;
            default:
                MoveToGeneral(e, op, shape, size, index);
                break;
        }
    }

    private static void MoveToGeneral(BlockEmitter e, Op* op, Shape shape, int size, int index)
    {
        Reg target = Target(op->Rd, Rdx);
        e.Asm.ExtractElement(size, target, e.Vectors.Read(op->Rn), index);
        if (shape != Shape.MoveUnsigned)
        {
            e.Asm.LoadSized(target, target, 1 << size, signed: true, wide: shape == Shape.MoveSigned64);
        }

        e.Registers.Out(op->Rd, target);
    }

    // The low element of XMM0 = the operation on all elements of n, pairwise as a tree. Uses XMM1.
    public static void AcrossLanes(BlockEmitter e, Op* op, Packed operation, int n, int size)
    {
        if (op->Shift == 16)
        {
            e.Asm.ShuffleWords(1, n, 0xEE);
            e.Asm.Packed(operation, 0, n, 1);
        }
        else
        {
            e.Asm.CopyXmm(0, n);
        }

        if (size < 3)
        {
            FoldLow(e, operation, size);
        }
    }

    /// <summary>The low element of XMM0 = the operation on the elements of its low 8 bytes. Uses XMM1.</summary>
    public static void FoldLow(BlockEmitter e, Packed operation, int size)
    {
        for (int i = 2; i >= size; i--)
        {
            if (i == 2)
            {
                e.Asm.ShuffleWords(1, 0, 0x55);
            }
            else
            {
                e.Asm.PackedShift(PackedShift.Right, 2 << i, 1, 0, 8 << i);
            }

            e.Asm.Packed(operation, 0, 1);
        }
    }

    // SADDLV, UADDLV: the sum of all, in an element of twice the size.
    public static void AddAcrossLong(BlockEmitter e, Op* op, bool signed)
    {
        int size = op->Extra;
        int n = e.Vectors.Read(op->Rn);
        if (size == 0)
        {
            AddBytesAcross(e, op, n, signed);
            return;
        }

        SimdWideningEmitters.AddPairsLong(e, 0, n, size, signed);
        if (op->Shift == 16)
        {
            e.Asm.ShuffleWords(1, 0, 0xEE);
            e.Asm.Packed(SimdOperations.Add.At(size + 1), 0, 1);
        }

        if (size == 1)
        {
            FoldLow(e, Packed.AddS, 2);
        }

        SimdSequences.StoreVector(e, op->Rd, 2 << size);
    }

    // Sums unsigned bytes. A signed byte with its top bit inverted is an unsigned one that is 128 too large.
    private static void AddBytesAcross(BlockEmitter e, Op* op, int n, bool signed)
    {
        if (signed)
        {
            e.Flags.GiveUp();
            SimdSequences.Constant(e, 0, SimdSequences.SignBits(0));
            e.Asm.Packed(Packed.Xor, 0, n);
            n = 0;
        }

        if (op->Shift == 8)
        {
            e.Asm.CopyLow(true, 0, n);
            n = 0;
        }

        e.Asm.Packed(Packed.Xor, 1, 1);
        e.Asm.Packed(Packed.SumOfDifferences, 0, n, 1);
        e.Asm.ShuffleWords(1, 0, 0xEE);
        e.Asm.Packed(Packed.AddS, 0, 1);
        e.Asm.StoreXmmGeneral(false, Rdx, 0);
        if (signed)
        {
            e.Asm.AluImmediate(Alu.Sub, false, Rdx, 128 * op->Shift);
        }

        e.Asm.ZeroExtend16(Rdx, Rdx);
        e.Asm.LoadXmmGeneral(false, e.Vectors.Overwrite(op->Rd), Rdx);
    }
}
