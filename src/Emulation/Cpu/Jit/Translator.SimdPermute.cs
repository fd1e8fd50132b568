using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>SIMD that moves elements: interleaving, table look-up, reversal, copies of elements, and what works across lanes.</content>
internal sealed unsafe partial class Translator
{
    // XMM0 = the result.
    private void Permute(Op* op, VectorOp what, int n, int size)
    {
        switch (what.Shape)
        {
            case Shape.Pairwise:
                LoadPair(op, n);
                _a.CopyXmm(2, 0);
                _a.CopyXmm(3, 1);
                Deinterleave(0, 1, size, odd: false);
                Deinterleave(2, 3, size, odd: true);
                _a.Packed(what.At(size), 0, 2);
                break;
            case Shape.Even or Shape.Odd:
                LoadPair(op, n);
                Deinterleave(0, 1, size, odd: what.Shape == Shape.Odd);
                break;
            case Shape.TransposeEven or Shape.TransposeOdd:
                Transpose(n, Vec(op->Rm), size, odd: what.Shape == Shape.TransposeOdd);
                break;
            case Shape.ZipLow:
                _a.Packed(what.At(size), 0, n, Vec(op->Rm));
                break;
            case Shape.ZipHigh when op->Shift == 8:
                _a.Packed(what.At(size) - Packed.UnpackHighB + Packed.UnpackLowB, 0, n, Vec(op->Rm));
                _a.ShiftBytesRight(0, 0, 8);
                break;
            case Shape.ZipHigh:
                _a.Packed(what.At(size), 0, n, Vec(op->Rm));
                break;
            case Shape.Extract:
                LoadPair(op, n);
                _a.AlignRight(0, 1, 0, (int)op->Imm);
                break;
            case Shape.TableLookup or Shape.TableExtension:
                LookUpTable(op, extends: what.Shape == Shape.TableExtension);
                break;
            case Shape.Reverse:
                // REV64, REV32, REV16 by opcode<0> and U.
                ReverseElements(n, size, (op->Word & (1u << 12)) != 0 ? 2 : (op->Word & (1u << 29)) != 0 ? 4 : 8);
                break;
            case Shape.CountBits:
                NibblePairs(n, 0x0302_0201_0201_0100, 0x0403_0302_0302_0201, 0x0302_0201_0201_0100, 0x0403_0302_0302_0201);
                _a.Packed(Packed.AddB, 0, 1);
                break;
            case Shape.ReverseBits:
                NibblePairs(n, 0xE060_A020_C040_8000, 0xF070_B030_D050_9010, 0x0E06_0A02_0C04_0800, 0x0F07_0B03_0D05_0901);
                _a.Packed(Packed.Or, 0, 1);
                break;
            default:
                throw new InvalidOperationException($"{what.Shape} has no code");
        }
    }

    // XMM0 and XMM1 = n and m; both m:n where they have 8 bytes.
    private void LoadPair(Op* op, int n)
    {
        if (op->Shift == 8)
        {
            _a.Packed(Packed.UnpackLowD, 0, n, Vec(op->Rm));
            _a.CopyXmm(1, 0);
        }
        else
        {
            _a.CopyXmm(1, Vec(op->Rm));
            _a.CopyXmm(0, n);
        }
    }

    // low = the even or the odd elements of high:low. High is lost.
    private void Deinterleave(int low, int high, int size, bool odd)
    {
        if (size == 2)
        {
            _a.ShuffleTwo(low, low, high, odd ? 0xDD : 0x88);
            return;
        }

        if (size == 3)
        {
            _a.Packed(odd ? Packed.UnpackHighD : Packed.UnpackLowD, low, high);
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

    // The even or the odd elements of n, each with the one of m behind it.
    private void Transpose(int n, int m, int size, bool odd)
    {
        if (size == 3)
        {
            _a.Packed(odd ? Packed.UnpackHighD : Packed.UnpackLowD, 0, n, m);
            return;
        }

        int wide = 2 << size;
        int bits = 8 << size;
        if (odd)
        {
            _a.PackedShift(PackedShift.Right, wide, 0, n, bits);
            _a.PackedShift(PackedShift.Right, wide, 1, m, bits);
            _a.PackedShift(PackedShift.Left, wide, 1, bits);
        }
        else
        {
            _a.PackedShift(PackedShift.Left, wide, 0, n, bits);
            _a.PackedShift(PackedShift.Right, wide, 0, bits);
            _a.PackedShift(PackedShift.Left, wide, 1, m, bits);
        }

        _a.Packed(Packed.Or, 0, 1);
    }

    // PSHUFB gives zero for an index with the top bit: 70h added with saturation gives that to 16 and above. Five instructions for each
    // register of the table.
    private void LookUpTable(Op* op, bool extends)
    {
        int indices = Vec(op->Rm);
        int registers = (int)op->Imm / 16;
        for (int i = 0; i < registers; i++)
        {
            int target = i == 0 ? 0 : 1;
            Constant(2, Replicate(0x70, 0));
            if (i == 0)
            {
                _a.Packed(Packed.AddSaturatingUnsignedB, 1, indices, 2);
            }
            else
            {
                Constant(3, Replicate((ulong)i * 16, 0));
                _a.Packed(Packed.SubB, 1, indices, 3);
                _a.Packed(Packed.AddSaturatingUnsignedB, 1, 2);
            }

            _a.Packed(Packed.ShuffleB, target, Vec((op->Rn + i) % 32), 1);
            if (i > 0)
            {
                _a.Packed(Packed.Or, 0, 1);
            }
        }

        if (extends)
        {
            // Where the index is none of the table.
            Constant(1, Replicate(op->Imm, 0));
            _a.Packed(Packed.MaxUnsignedB, 1, indices);
            _a.Packed(Packed.EqualB, 1, indices);
            _a.Packed(Packed.And, 1, Vec(op->Rd));
            _a.Packed(Packed.Or, 0, 1);
        }
    }

    private void ReverseElements(int n, int size, int container)
    {
        ulong order = 0;
        for (int i = 0; i < 8; i++)
        {
            order |= (ulong)(i ^ (container - 1) ^ ((1 << size) - 1)) << (8 * i);
        }

        Constant(1, order, order + Replicate(8, 0));
        _a.Packed(Packed.ShuffleB, 0, n, 1);
    }

    // XMM0 and XMM1 = what two tables of 16 bytes have for the lower and the upper four bits of each byte.
    private void NibblePairs(int n, ulong low, ulong lowUpper, ulong high, ulong highUpper)
    {
        Constant(2, Replicate(0xF, 0));
        _a.PackedShift(PackedShift.Right, 4, 1, n, 4);
        _a.Packed(Packed.And, 1, 2);
        _a.Packed(Packed.And, 2, n);
        Constant(0, low, lowUpper);
        _a.Packed(Packed.ShuffleB, 0, 2);
        Constant(3, high, highUpper);
        _a.Packed(Packed.ShuffleB, 1, 3, 1);
    }

    // Uses RDX.
    private void Constant(int register, ulong low, ulong high)
    {
        _a.LoadImmediate(Rdx, low);
        _a.LoadXmmGeneral(true, register, Rdx);
        _a.LoadImmediate(Rdx, high);
        _a.InsertElement(3, register, register, Rdx, 1);
    }

    // An element in every place. One or two instructions.
    private void Broadcast(int destination, int source, int size, int index)
    {
        switch (size)
        {
            case 3:
                _a.ShuffleWords(destination, source, index == 0 ? 0x44 : 0xEE);
                return;
            case 2:
                _a.ShuffleWords(destination, source, index * 0x55);
                return;
        }

        if (index != 0)
        {
            _a.ShiftBytesRight(destination, source, index << size);
            source = destination;
        }

        _a.PackedOne(size == 0 ? Packed.BroadcastB : Packed.BroadcastH, destination, (Reg)source);
    }

    // DUP, INS, UMOV, SMOV.
    private void CopyElement(Op* op, Shape shape)
    {
        int size = op->Extra;
        int index = (int)op->Imm;
        switch (shape)
        {
            case Shape.InsertGeneral:
                int d = Update(op->Rd);
                _a.InsertElement(size, d, d, In(op->Rn, Rdx), index);
                break;
            case Shape.InsertElement:
                _a.ExtractElement(size, Rdx, Vec(op->Rn), op->Ra);
                d = Update(op->Rd);
                _a.InsertElement(size, d, d, Rdx, index);
                break;
            case Shape.DuplicateElement:
                Broadcast(0, Vec(op->Rn), size, index);
                StoreVector(op->Rd, op->Shift);
                break;
            case Shape.DuplicateGeneral:
                _a.LoadXmmGeneral(size == 3, 0, In(op->Rn, Rdx));
                Broadcast(0, 0, size, 0);
                StoreVector(op->Rd, op->Shift);
                break;
            default:
                MoveToGeneral(op, shape, size, index);
                break;
        }
    }

    private void MoveToGeneral(Op* op, Shape shape, int size, int index)
    {
        Reg target = Target(op->Rd, Rdx);
        _a.ExtractElement(size, target, Vec(op->Rn), index);
        if (shape != Shape.MoveUnsigned)
        {
            LoadSized(target, target, 1 << size, signed: true, wide: shape == Shape.MoveSigned64);
        }

        Out(op->Rd, target);
    }

    // The low element of XMM0 = all of n, one after the other as a tree. Uses XMM1.
    private void AcrossLanes(Op* op, Packed operation, int n, int size)
    {
        if (op->Shift == 16)
        {
            _a.ShuffleWords(1, n, 0xEE);
            _a.Packed(operation, 0, n, 1);
        }
        else
        {
            _a.CopyXmm(0, n);
        }

        if (size < 3)
        {
            FoldLow(operation, size);
        }
    }

    // The elements of the low 8 bytes.
    private void FoldLow(Packed operation, int size)
    {
        for (int i = 2; i >= size; i--)
        {
            if (i == 2)
            {
                _a.ShuffleWords(1, 0, 0x55);
            }
            else
            {
                _a.PackedShift(PackedShift.Right, 2 << i, 1, 0, 8 << i);
            }

            _a.Packed(operation, 0, 1);
        }
    }

    // SADDLV, UADDLV: the sum of all, in an element of twice the size.
    private void AddAcrossLong(Op* op, bool signed)
    {
        int size = op->Extra;
        int n = Vec(op->Rn);
        if (size == 0)
        {
            AddBytesAcross(op, n, signed);
            return;
        }

        AddPairsLong(0, n, size, signed);
        if (op->Shift == 16)
        {
            _a.ShuffleWords(1, 0, 0xEE);
            _a.Packed(s_add.At(size + 1), 0, 1);
        }

        if (size == 1)
        {
            FoldLow(Packed.AddS, 2);
        }

        StoreVector(op->Rd, 2 << size);
    }

    // Signed bytes with their top bits inverted are 128 too large.
    private void AddBytesAcross(Op* op, int n, bool signed)
    {
        if (signed)
        {
            LoseHostFlags();
            Constant(0, SignBits(0));
            _a.Packed(Packed.Xor, 0, n);
            n = 0;
        }

        if (op->Shift == 8)
        {
            _a.CopyLow(true, 0, n);
            n = 0;
        }

        _a.Packed(Packed.Xor, 1, 1);
        _a.Packed(Packed.SumOfDifferences, 0, n, 1);
        _a.ShuffleWords(1, 0, 0xEE);
        _a.Packed(Packed.AddS, 0, 1);
        _a.StoreXmmGeneral(false, Rdx, 0);
        if (signed)
        {
            _a.AluImmediate(Alu.Sub, false, Rdx, 128 * op->Shift);
        }

        _a.ZeroExtend16(Rdx, Rdx);
        _a.LoadXmmGeneral(false, Result(op->Rd), Rdx);
    }
}
