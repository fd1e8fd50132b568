using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Instructions of SVE that move elements to other places of vectors, and series. A piece of a result may come of any piece of a source:
/// where the destination is one, all pieces are made before one is written.
/// </summary>
internal static unsafe class SvePermuteEmitters
{
    private const int Piece = ScalableRegisters.LowBytes;
    private const int Half = Piece / 2;

    // log2 of the bytes of a quadword.
    private const int Quadword = 4;

    // A piece of two vectors in a row.
    private static int OfBoth(BlockEmitter e, Op* op, int piece, int scratch) => piece < e.Scalable.Pieces
        ? e.Scalable.Read(op->Rn, piece, scratch)
        : e.Scalable.Read(op->Rm, piece - e.Scalable.Pieces, scratch);

    private static void Begin(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        e.Scalable.MakeReal(op->Rm);
    }

    // A piece of the result is in XMM0.
    private static void Put(BlockEmitter e, Op* op, int piece)
    {
        if (op->Rd == op->Rn || op->Rd == op->Rm)
        {
            e.Asm.StoreXmm(HostRegisters.ScalableRoom(piece * Piece), 0);
        }
        else
        {
            e.Scalable.Write(op->Rd, piece, 0);
        }
    }

    // All pieces are made.
    private static bool Finish(BlockEmitter e, Op* op)
    {
        for (int i = 0; i < e.Scalable.Pieces && (op->Rd == op->Rn || op->Rd == op->Rm); i++)
        {
            e.Asm.LoadXmm(0, HostRegisters.ScalableRoom(i * Piece));
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>ZIP1, ZIP2; bit 10: of the second halves.</summary>
    public static bool Zip(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        int first = SveForms.Field(op, 10, 1) * e.Scalable.Length / 2;
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int from = first + (i * Half);
            int n = e.Scalable.Read(op->Rn, from / Piece, 0);
            int m = e.Scalable.Read(op->Rm, from / Piece, 1);
            e.Asm.Packed(SimdOperations.Of(from % Piece == 0 ? Operation.Zip1 : Operation.Zip2).At(op->Extra), 0, n, m);
            Put(e, op, i);
        }

        return Finish(e, op);
    }

    /// <summary>UZP1, UZP2; bit 10: the odd elements.</summary>
    public static bool Unzip(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.CopyXmm(0, OfBoth(e, op, 2 * i, 0));
            e.Asm.CopyXmm(1, OfBoth(e, op, (2 * i) + 1, 1));
            SimdSequences.Deinterleave(e, 0, 1, op->Extra, SveForms.Field(op, 10, 1) != 0);
            Put(e, op, i);
        }

        return Finish(e, op);
    }

    /// <summary>TRN1, TRN2; bit 10: the odd elements.</summary>
    public static bool Transpose(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int n = e.Scalable.Read(op->Rn, i, 2);
            SimdPermuteEmitters.Transpose(e, n, e.Scalable.Read(op->Rm, i, 3), op->Extra, SveForms.Field(op, 10, 1) != 0);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>EXT: bytes from a position on, which is in bits 20:16 and 12:10, of two vectors in a row.</summary>
    public static bool Extract(BlockEmitter e, Op* op)
    {
        int position = (SveForms.Field(op, 16) << 3) | SveForms.Field(op, 10, 3);
        position = position < e.Scalable.Length ? position : 0;
        Begin(e, op);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int from = i + (position / Piece);
            if (position % Piece == 0)
            {
                e.Asm.CopyXmm(0, OfBoth(e, op, from, 0));
            }
            else
            {
                int low = OfBoth(e, op, from, 0);
                e.Asm.AlignRight(0, OfBoth(e, op, from + 1, 1), low, position % Piece);
            }

            Put(e, op, i);
        }

        return Finish(e, op);
    }

    /// <summary>REV of a vector.</summary>
    public static bool Reverse(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        ulong order = 0;
        for (int i = 0; i < Half; i++)
        {
            order |= (ulong)((Piece - 1 - i) ^ ((1 << op->Extra) - 1)) << (8 * i);
        }

        SimdSequences.Constant(e, 3, order, order - SimdSequences.Replicate(Half, 0));
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.Packed(Packed.ShuffleB, 0, e.Scalable.Read(op->Rn, e.Scalable.Pieces - 1 - i, 0), 3);
            Put(e, op, i);
        }

        return Finish(e, op);
    }

    /// <summary>SUNPKLO, SUNPKHI, UUNPKLO, UUNPKHI: bit 17 unsigned, bit 16 the high half. The size is that of the result.</summary>
    public static bool Unpack(BlockEmitter e, Op* op)
    {
        VectorOp extension = SveForms.Field(op, 17, 1) != 0 ? SimdOperations.ZeroExtend : SimdOperations.SignExtend;
        int first = SveForms.Field(op, 16, 1) * e.Scalable.Length / 2;
        Begin(e, op);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            int from = first + (i * Half);
            int n = e.Scalable.Read(op->Rn, from / Piece, 0);
            if (from % Piece != 0)
            {
                e.Asm.ShuffleWords(0, n, 0xEE);
                n = 0;
            }

            e.Asm.PackedOne(extension.At(op->Extra - 1), 0, (Reg)n);
            Put(e, op, i);
        }

        return Finish(e, op);
    }

    /// <summary>INDEX: general registers at bits 9:5 and 20:16; where bit 10 or 11 is clear, an immediate is there instead.</summary>
    public static bool Index(BlockEmitter e, Op* op)
    {
        int size = op->Extra;
        bool hasBase = SveForms.Field(op, 10, 1) != 0;
        bool hasStep = SveForms.Field(op, 11, 1) != 0;
        if (hasStep && size == 0)
        {
            return false;
        }

        e.Floats.CheckScalable(op);
        ulong start = (ulong)SveElements.SignExtend(SveForms.Field(op, 5), 5);
        if (hasStep && size == 3)
        {
            IndexDoublewords(e, op, hasBase, start);
            return true;
        }

        // XMM2 = the start everywhere, XMM3 = the step.
        if (hasBase)
        {
            BroadcastGeneral(e, op->Rn, 2, size);
        }
        else
        {
            SimdSequences.Constant(e, 2, SimdSequences.Replicate(start & SveElements.Mask(8 << size), size));
        }

        if (hasStep)
        {
            BroadcastGeneral(e, op->Rm, 3, size);
        }

        ulong step = hasStep ? 1 : (ulong)SveElements.SignExtend(SveForms.Field(op, 16), 5);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            SimdSequences.Constant(e, 0, Series(i * Piece, size, step), Series((i * Piece) + Half, size, step));
            if (hasStep)
            {
                e.Asm.Packed(SimdOperations.Of(Operation.MulVector).At(size), 0, 3);
            }

            e.Asm.Packed(SimdOperations.Add.At(size), 0, 2);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    // The elements of 8 bytes of a vector: each is its number by a step.
    private static ulong Series(int from, int size, ulong step)
    {
        ulong value = 0;
        for (int i = 0; i < Half >> size; i++)
        {
            value |= ((ulong)((from >> size) + i) * step & SveElements.Mask(8 << size)) << (i * (8 << size));
        }

        return value;
    }

    private static void BroadcastGeneral(BlockEmitter e, int general, int register, int size)
    {
        e.Asm.LoadXmmGeneral(true, register, e.Registers.In(general, Rax));
        SimdSequences.Broadcast(e, register, register, size, 0);
    }

    // The host does not multiply doublewords: they are counted up. Uses RDX.
    private static void IndexDoublewords(BlockEmitter e, Op* op, bool hasBase, ulong start)
    {
        if (hasBase)
        {
            e.Registers.Copy(Rdx, op->Rn);
        }
        else
        {
            e.Asm.LoadImmediate(Rdx, start);
        }

        Reg step = e.Registers.In(op->Rm, Rax);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.LoadXmmGeneral(true, 0, Rdx);
            e.Asm.Lea(true, Rdx, Operand.At(Rdx, step, 0));
            e.Asm.InsertElement(3, 0, 0, Rdx, 1);
            e.Asm.Lea(true, Rdx, Operand.At(Rdx, step, 0));
            e.Scalable.Write(op->Rd, i, 0);
        }
    }

    /// <summary>DUP of an element, whose number may be beyond the vector: bits 23:22 and 20:16 are the number and the size.</summary>
    public static bool DuplicateElement(BlockEmitter e, Op* op)
    {
        int bits = (SveForms.Field(op, 22, 2) << 5) | SveForms.Field(op, 16);
        int size = BitOperations.TrailingZeroCount(bits);
        int at = (bits >> (size + 1)) << size;
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rn);
        if (at >= e.Scalable.Length)
        {
            e.Asm.Packed(Packed.Xor, 0, 0);
        }
        else if (size == Quadword)
        {
            e.Asm.CopyXmm(0, e.Scalable.Read(op->Rn, at / ScalableRegisters.LowBytes, 0));
        }
        else
        {
            int piece = at / ScalableRegisters.LowBytes;
            int index = (at % ScalableRegisters.LowBytes) >> size;
            SimdSequences.Broadcast(e, 0, e.Scalable.Read(op->Rn, piece, 0), size, index);
        }

        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }
}
