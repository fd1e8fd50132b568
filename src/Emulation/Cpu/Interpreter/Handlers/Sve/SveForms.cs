using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// Operand forms of SVE. <see cref="Op.Rd"/>, <see cref="Op.Rn"/>, <see cref="Op.Rm"/> and <see cref="Op.Ra"/> are Z registers unless a
/// form says otherwise; Ra is the one that a result is added to. <see cref="Op.Shift"/> is the governing predicate,
/// <see cref="Op.Extra"/> log2 of the bytes of an element, <see cref="Op.Imm"/> the immediate.
/// </summary>
internal static unsafe class SveForms
{
    /// <summary>Zd, Zn, Zm, Pg; the accumulator is Zd.</summary>
    public static void Three(Op* op)
    {
        op->Rd = Field(op, 0);
        op->Rn = Field(op, 5);
        op->Rm = Field(op, 16);
        op->Ra = op->Rd;
        op->Shift = Field(op, 10, 3);
        op->Extra = Field(op, 22, 2);
    }

    /// <summary>The same with a predicate of four bits: SEL.</summary>
    public static void ThreeWide(Op* op)
    {
        Three(op);
        op->Shift = Field(op, 10, 4);
    }

    /// <summary>Zd, Zn, Pg.</summary>
    public static void Two(Op* op)
    {
        Three(op);
        op->Rm = op->Rn;
    }

    /// <summary>Zdn, Zm at bit 5, Pg.</summary>
    public static void Destructive(Op* op)
    {
        Three(op);
        op->Rm = op->Rn;
        op->Rn = op->Rd;
    }

    /// <summary>Zdn is the second operand, the first is at bit 5: SUBR.</summary>
    public static void Reversed(Op* op)
    {
        Three(op);
        op->Rm = op->Rd;
    }

    /// <summary>MAD, MSB: Zdn is multiplied with Zm at bit 16, Za at bit 5 is added.</summary>
    public static void Multiplicand(Op* op)
    {
        Three(op);
        op->Ra = op->Rn;
        op->Rn = op->Rd;
    }

    /// <summary>FMAD: Zdn is multiplied with Zm at bit 5, Za at bit 16 is added.</summary>
    public static void FloatMultiplicand(Op* op)
    {
        Three(op);
        op->Ra = op->Rm;
        op->Rm = op->Rn;
        op->Rn = op->Rd;
    }

    /// <summary>Two registers and Zdn, without sizes: Zm at bit 16, Zk at bit 5. EOR3, BSL.</summary>
    public static void Ternary(Op* op)
    {
        Multiplicand(op);
        op->Extra = 3;
    }

    /// <summary>Doublewords, whatever the size field says: bitwise operations.</summary>
    public static void Bits(Op* op)
    {
        Three(op);
        op->Extra = 3;
    }

    /// <summary>Bytes, whatever the size field says.</summary>
    public static void Bytes(Op* op)
    {
        Three(op);
        op->Extra = 0;
    }

    /// <summary>Zdn, and an immediate to shift right by at bits 9:5 with the size: tsz and imm3.</summary>
    public static void ShiftRight(Op* op) => Shifted(op, 5, right: true, op->Word & 31);

    /// <summary>Zdn, and an immediate to shift left by at bits 9:5.</summary>
    public static void ShiftLeft(Op* op) => Shifted(op, 5, right: false, op->Word & 31);

    /// <summary>Zd, Zn, and an immediate to shift right by at bits 20:16.</summary>
    public static void ShiftRightOf(Op* op) => Shifted(op, 16, right: true, (op->Word >> 5) & 31);

    /// <summary>Zd, Zn, and an immediate to shift left by at bits 20:16.</summary>
    public static void ShiftLeftOf(Op* op) => Shifted(op, 16, right: false, (op->Word >> 5) & 31);

    /// <summary>As <see cref="ShiftRight"/>; the immediate is negative, as the shifts of Advanced SIMD want it.</summary>
    public static void ShiftRightNegated(Op* op)
    {
        ShiftRight(op);
        op->Imm = 0 - op->Imm;
    }

    /// <summary>As <see cref="ShiftRightOf"/>; the immediate is negative.</summary>
    public static void ShiftRightOfNegated(Op* op)
    {
        ShiftRightOf(op);
        op->Imm = 0 - op->Imm;
    }

    private static void Shifted(Op* op, int low, bool right, uint source)
    {
        Three(op);
        op->Rn = (byte)source;
        uint bits = (uint)((Field(op, 22, 2) << 5) | Field(op, low));
        op->Extra = (byte)BitOperations.Log2((bits >> 3) | 1);
        op->Imm = right ? (16u << op->Extra) - bits : bits - (8u << op->Extra);
    }

    /// <summary>Zdn, and an unsigned immediate of 8 bits, shifted left by 8 with bit 13.</summary>
    public static void WideImmediate(Op* op)
    {
        Destructive(op);
        op->Imm = (ulong)Field(op, 5, 8) << (8 * Field(op, 13, 1));
    }

    /// <summary>Zd, and a signed immediate of 8 bits, shifted left by 8 with bit 13; the predicate, of four bits, is at 19:16.</summary>
    public static void SignedWideImmediate(Op* op)
    {
        Destructive(op);
        op->Shift = Field(op, 16, 4);
        op->Imm = (ulong)(long)(sbyte)Field(op, 5, 8) << (8 * Field(op, 13, 1));
    }

    /// <summary>Zdn, and an unsigned immediate of 8 bits.</summary>
    public static void UnsignedImmediate(Op* op)
    {
        Destructive(op);
        op->Imm = Field(op, 5, 8);
    }

    /// <summary>Zdn, and a signed immediate of 8 bits.</summary>
    public static void SignedImmediate(Op* op)
    {
        Destructive(op);
        op->Imm = (ulong)(long)(sbyte)Field(op, 5, 8);
    }

    /// <summary>Zdn, and a mask as logical immediates have it.</summary>
    public static void Mask(Op* op)
    {
        Three(op);
        op->Rn = op->Rd;
        op->Extra = 3;
        op->Imm = BitMask(op);
    }

    /// <summary>The mask of bits 17:5, N, immr and imms.</summary>
    public static ulong BitMask(Op* op) => Operands.BitMask((1u << 31) | (Operands.Bits(op->Word, 5, 13) << 10));

    /// <summary>Zd, Zn, and an element of each 128 bits of Zm: of 16 bits, its index at 22 and 20:19, Zm at 18:16.</summary>
    public static void IndexedHalf(Op* op)
    {
        Three(op);
        op->Rm = Field(op, 16, 3);
        op->Extra = 1;
        op->Imm = ((ulong)Field(op, 22, 1) << 2) | Field(op, 19, 2);
    }

    /// <summary>The same of 32 bits, its index at 20:19, Zm at 18:16.</summary>
    public static void IndexedWord(Op* op)
    {
        Three(op);
        op->Rm = Field(op, 16, 3);
        op->Extra = 2;
        op->Imm = Field(op, 19, 2);
    }

    /// <summary>The same of 64 bits, its index at 20, Zm at 19:16.</summary>
    public static void IndexedDoubleword(Op* op)
    {
        Three(op);
        op->Rm = Field(op, 16, 4);
        op->Extra = 3;
        op->Imm = Field(op, 20, 1);
    }

    /// <summary>A pair of halves, its index at 20:19, Zm at 18:16.</summary>
    public static void IndexedHalfPair(Op* op)
    {
        IndexedWord(op);
        op->Extra = 1;
    }

    /// <summary>A pair of words, its index at 20, Zm at 19:16.</summary>
    public static void IndexedWordPair(Op* op)
    {
        IndexedDoubleword(op);
        op->Extra = 2;
    }

    /// <summary>An element of half the size: of 16 bits, its index at 20:19 and 11, Zm at 18:16.</summary>
    public static void IndexedHalfOfWord(Op* op)
    {
        IndexedWord(op);
        op->Imm = ((ulong)Field(op, 19, 2) << 1) | Field(op, 11, 1);
    }

    /// <summary>The same of 32 bits, its index at 20 and 11, Zm at 19:16.</summary>
    public static void IndexedWordOfDoubleword(Op* op)
    {
        IndexedDoubleword(op);
        op->Imm = ((ulong)Field(op, 20, 1) << 1) | Field(op, 11, 1);
    }

    /// <summary>The result has twice the size that is encoded, the immediate is to shift left by at bits 20:16.</summary>
    public static void LongShift(Op* op)
    {
        ShiftLeftOf(op);
        op->Extra++;
    }

    /// <summary>The source has twice the size that is encoded, the immediate is to shift right by at bits 20:16.</summary>
    public static void NarrowShift(Op* op)
    {
        ShiftRightOf(op);
        op->Extra++;
    }

    /// <summary>The source has twice the size that is encoded, and is not shifted.</summary>
    public static void Narrow(Op* op)
    {
        NarrowShift(op);
        op->Imm = 0;
    }

    /// <summary>Zd, Zn, Pg, of words: conversions whose wider side has 32 bits.</summary>
    public static void Words(Op* op)
    {
        Two(op);
        op->Extra = 2;
    }

    /// <summary>Zd, Zn, Pg, of doublewords.</summary>
    public static void Doublewords(Op* op)
    {
        Two(op);
        op->Extra = 3;
    }

    /// <summary>Zd, Zn, Pg, of halves.</summary>
    public static void Halves(Op* op)
    {
        Two(op);
        op->Extra = 1;
    }

    /// <summary>Zd, Zn, Zm, of words.</summary>
    public static void ThreeWords(Op* op)
    {
        Three(op);
        op->Extra = 2;
    }

    /// <summary>Pd, Zn, Zm, Pg.</summary>
    public static void Compare(Op* op)
    {
        Three(op);
        op->Rd = Field(op, 0, 4);
    }

    /// <summary>The same with an unsigned immediate at 20:14.</summary>
    public static void CompareUnsigned(Op* op)
    {
        Compare(op);
        op->Imm = Field(op, 14, 7);
    }

    /// <summary>The same with a signed immediate at 20:16.</summary>
    public static void CompareSigned(Op* op)
    {
        Compare(op);
        op->Imm = (ulong)SveElements.SignExtend(Field(op, 16), 5);
    }

    /// <summary>Pd, Pn, Pm, Pg of four bits.</summary>
    public static void Predicates(Op* op)
    {
        op->Rd = Field(op, 0, 4);
        op->Rn = Field(op, 5, 4);
        op->Rm = Field(op, 16, 4);
        op->Shift = Field(op, 10, 4);
        op->Extra = Field(op, 22, 2);
    }

    /// <summary>A general register or SP as the base, at bit 5.</summary>
    public static byte Base(Op* op) => Field(op, 5) is var n && n == 31 ? (byte)CpuState.Sp : n;

    public static byte Field(Op* op, int low, int width = 5) => (byte)((op->Word >> low) & ((1u << width) - 1));
}
