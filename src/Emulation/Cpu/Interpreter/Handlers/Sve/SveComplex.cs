using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>SVE2 (Arm ARM C8.2): complex integers, pairs, carries, matches, histograms, and what works on 128 bits at once.</summary>
internal static unsafe class SveComplex
{
    private const int Result = 9;

    private static Op* Finish(ScalableRegisters z, CpuState* s, Op* op)
    {
        z.Write(s, op->Rd, z.Room(Result));
        return op + 1;
    }

    /// <summary>ADDP, SMAXP, FADDP and kin: pairs of Zdn in even elements, of Zm in odd ones.</summary>
    public static Op* Pairwise(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        var lane = EncodingTable.Rows[op->Row].Lane;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        for (int i = 0; i < z.Length >> size; i++)
        {
            byte* source = (i & 1) != 0 ? m : n;
            ulong value = SveElements.IsActive(z.Predicate(op->Shift), i, size)
                ? lane(s, 0, SveElements.Get(source, i & ~1, size), SveElements.Get(source, i | 1, size), 8 << size)
                : SveElements.Get(n, i, size);
            SveElements.Set(z.Room(Result), i, size, value);
        }

        return Finish(z, s, op);
    }

    /// <summary>EORBT, EORTB (bit 10): each second element, of the neighbour in Zm.</summary>
    public static Op* ExclusiveOrInterleaved(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        int top = SveForms.Field(op, 10, 1);
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value = (i & 1) == top ? SveElements.Get(n, i, size) ^ SveElements.Get(m, i ^ 1, size) : SveElements.Get(d, i, size);
            SveElements.Set(z.Room(Result), i, size, value);
        }

        return Finish(z, s, op);
    }

    /// <summary>
    /// ADCLB, ADCLT, SBCLB, SBCLT: bit 23 subtracts, bit 22 is for doublewords, bit 10 for odd elements of Zn. The carry comes of odd
    /// elements of Zm and goes to odd elements of Zd.
    /// </summary>
    public static Op* AddWithCarry(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = 2 + SveForms.Field(op, 22, 1);
        int bits = 8 << size;
        int top = SveForms.Field(op, 10, 1);
        bool subtracts = SveForms.Field(op, 23, 1) != 0;
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        for (int i = 0; i < z.Length >> size; i += 2)
        {
            ulong addend = SveElements.Get(n, i + top, size);
            addend = subtracts ? ~addend & SveElements.Mask(bits) : addend;
            UInt128 sum = (UInt128)SveElements.Get(d, i, size) + addend + (SveElements.Get(m, i + 1, size) & 1);
            SveElements.Set(z.Room(Result), i, size, (ulong)sum);
            SveElements.Set(z.Room(Result), i + 1, size, (ulong)(sum >> bits));
        }

        return Finish(z, s, op);
    }

    /// <summary>CADD, SQCADD (bit 16): Zdn and Zm rotated by 90 or, with bit 10, 270 degrees.</summary>
    public static Op* Add(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        bool back = SveForms.Field(op, 10, 1) != 0;
        bool saturates = SveForms.Field(op, 16, 1) != 0;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        for (int i = 0; i < z.Length >> size; i++)
        {
            bool negative = ((i & 1) == 0) != back;
            ulong left = SveElements.Get(n, i, size);
            ulong right = SveElements.Get(m, i ^ 1, size);
            ulong value = (saturates, negative) switch
            {
                (false, false) => left + right,
                (false, true) => left - right,
                (true, false) => SveLanes.Signed<Simd.SaturatingAdd>(s, 0, left, right, 8 << size),
                _ => SveLanes.Signed<Simd.SaturatingSubtract>(s, 0, left, right, 8 << size),
            };
            SveElements.Set(z.Room(Result), i, size, value);
        }

        return Finish(z, s, op);
    }

    /// <summary>CMLA and SQRDCMLAH (bit 12): the rotation is at bits 11:10.</summary>
    public static Op* Multiply(VcpuCore core, CpuState* s, Op* op) => Multiply(core, s, op, indexed: false);

    /// <summary>The same by the pair <see cref="Op.Imm"/> of each 128 bits.</summary>
    public static Op* MultiplyIndexed(VcpuCore core, CpuState* s, Op* op) => Multiply(core, s, op, indexed: true);

    private static Op* Multiply(VcpuCore core, CpuState* s, Op* op, bool indexed)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        int bits = 8 << size;
        int rotation = SveForms.Field(op, 10, 2);
        int odd = rotation & 1;
        bool saturates = SveForms.Field(op, 12, 1) != 0;
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        for (int i = 0; i < z.Length >> size; i++)
        {
            int pair = indexed ? (i & -(16 >> size)) + (2 * (int)op->Imm) : i & ~1;
            bool imaginary = (i & 1) != 0;
            bool negative = imaginary ? rotation >= 2 : rotation is 1 or 2;
            ulong addend = SveElements.Get(d, i, size);
            ulong left = SveElements.Get(n, (i & ~1) + odd, size);
            ulong right = SveElements.Get(m, pair + (imaginary ? 1 - odd : odd), size);
            ulong value = saturates ? SveLongLanes.HighOfDoubled(addend, left, right, bits, negative ? -1 : 1, rounds: true)
                : negative ? addend - (left * right)
                : addend + (left * right);
            SveElements.Set(z.Room(Result), i, size, value);
        }

        return Finish(z, s, op);
    }

    /// <summary>CDOT: of two complex numbers each in an element four times as wide; the rotation is at bits 11:10.</summary>
    public static Op* Dot(VcpuCore core, CpuState* s, Op* op) => Dot(core, s, op, indexed: false);

    public static Op* DotIndexed(VcpuCore core, CpuState* s, Op* op) => Dot(core, s, op, indexed: true);

    private static Op* Dot(VcpuCore core, CpuState* s, Op* op, bool indexed)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        int part = 2 << size;
        int rotation = SveForms.Field(op, 10, 2);
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong left = SveElements.Get(n, i, size);
            ulong right = SveElements.Get(m, indexed ? (i & -(16 >> size)) + (int)op->Imm : i, size);
            ulong sum = SveElements.Get(d, i, size);
            for (int pair = 0; pair < 2; pair++)
            {
                long real = SveElements.SignExtend(left >> (2 * pair * part), part);
                long imaginary = SveElements.SignExtend(left >> (((2 * pair) + 1) * part), part);
                long first = SveElements.SignExtend(right >> (((2 * pair) + (rotation & 1)) * part), part);
                long second = SveElements.SignExtend(right >> (((2 * pair) + 1 - (rotation & 1)) * part), part);
                sum += (ulong)(rotation is 0 or 3 ? (real * first) - (imaginary * second) : (real * first) + (imaginary * second));
            }

            SveElements.Set(z.Room(Result), i, size, sum);
        }

        return Finish(z, s, op);
    }

    /// <summary>MATCH, NMATCH (bit 4): whether an element is among those of Zm in the same 128 bits.</summary>
    public static Op* Match(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        int segment = 16 >> size;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(Result);
        new Span<byte>(result, z.Length / 8).Clear();
        bool negates = SveForms.Field(op, 4, 1) != 0;
        int count = z.Length >> size;
        for (int i = 0; i < count; i++)
        {
            if (SveElements.IsActive(governing, i, size))
            {
                bool found = false;
                for (int j = 0; j < segment; j++)
                {
                    found |= SveElements.Get(m, (i & -segment) + j, size) == SveElements.Get(n, i, size);
                }

                if (found != negates)
                {
                    SveElements.Activate(result, i, size);
                }
            }
        }

        s->Nzcv = SveElements.Test(governing, result, count, size);
        new Span<byte>(result, z.Length / 8).CopyTo(new Span<byte>(z.Predicate(op->Rd), z.Length / 8));
        return op + 1;
    }

    /// <summary>HISTCNT: how many active elements of Zm up to this one are equal.</summary>
    public static Op* HistogramCount(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* governing = z.Predicate(op->Shift);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong count = 0;
            for (int j = 0; j <= i && SveElements.IsActive(governing, i, size); j++)
            {
                count += SveElements.IsActive(governing, j, size) && SveElements.Get(m, j, size) == SveElements.Get(n, i, size) ? 1ul : 0;
            }

            SveElements.Set(z.Room(Result), i, size, count);
        }

        return Finish(z, s, op);
    }

    /// <summary>HISTSEG: how many bytes of the same 128 bits of Zm are equal.</summary>
    public static Op* HistogramSegment(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        for (int i = 0; i < z.Length; i++)
        {
            byte count = 0;
            for (int j = 0; j < 16; j++)
            {
                count += (byte)(m[(i & ~15) + j] == n[i] ? 1 : 0);
            }

            z.Room(Result)[i] = count;
        }

        return Finish(z, s, op);
    }

    /// <summary>XAR: Zdn exclusive or Zm, rotated to the right.</summary>
    public static void RotateForm(Op* op)
    {
        SveForms.ShiftRightOf(op);
        op->Rm = op->Rn;
        op->Rn = op->Rd;
    }

    public static Op* RotateExclusive(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value = SveLongLanes.RotatedExclusive(
                SveElements.Get(n, i, size), SveElements.Get(m, i, size), (int)op->Imm, 8 << size);
            SveElements.Set(z.Room(Result), i, size, value);
        }

        return Finish(z, s, op);
    }

    public static Op* AesEncrypt(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdAes.Encrypt);

    public static Op* AesDecrypt(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdAes.Decrypt);

    public static Op* AesMix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdAes.MixColumns);

    public static Op* AesInverseMix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdAes.InverseMixColumns);

    public static Op* Sm4Encrypt(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdSm.Sm4Encrypt);

    public static Op* Sm4ExpandKey(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdSm.Sm4ExpandKey);

    public static Op* SignedMatrix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdMatrix.SignedMultiply);

    public static Op* UnsignedMatrix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdMatrix.UnsignedMultiply);

    public static Op* MixedMatrix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &Simd.SimdMatrix.MixedMultiply);

    public static Op* BrainMatrix(VcpuCore core, CpuState* s, Op* op) => Segments(core, s, op, &BrainFloat.MatrixMultiply);

    // An instruction of Advanced SIMD on each 128 bits, which are V0 to V2 of a state of their own: destination, first and second operand.
    private static Op* Segments(
        VcpuCore core, CpuState* s, Op* op, delegate*<VcpuCore, CpuState*, Op*, Op*> handler)
    {
        ScalableRegisters z = core.Scalable!;
        byte* d = z.Read(s, op->Rd, 0);
        byte* n = z.Read(s, op->Rn, 1);
        byte* m = z.Read(s, op->Rm, 2);
        Unsafe.SkipInit(out CpuState segment);
        segment.Fpcr = s->Fpcr;
        Op one = *op;
        (one.Rd, one.Rn, one.Rm, one.Shift) = (0, 1, 2, 16);
        for (int at = 0; at < z.Length; at += 16)
        {
            ((UInt128*)segment.V)[0] = *(UInt128*)(d + at);
            ((UInt128*)segment.V)[1] = *(UInt128*)(n + at);
            ((UInt128*)segment.V)[2] = *(UInt128*)(m + at);
            handler(core, &segment, &one);
            *(UInt128*)(z.Room(Result) + at) = ((UInt128*)segment.V)[0];
        }

        return Finish(z, s, op);
    }

    /// <summary>PMULLB, PMULLT (bit 10) of doublewords.</summary>
    public static Op* PolynomialMultiply(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int top = SveForms.Field(op, 10, 1);
        ulong* n = (ulong*)z.Read(s, op->Rn, 0);
        ulong* m = (ulong*)z.Read(s, op->Rm, 1);
        for (int i = 0; i < z.Length / 16; i++)
        {
            UInt128 product = 0;
            for (int bit = 0; bit < 64; bit++)
            {
                product ^= ((m[(2 * i) + top] >> bit) & 1) != 0 ? (UInt128)n[(2 * i) + top] << bit : 0;
            }

            *(UInt128*)(z.Room(Result) + (16 * i)) = product;
        }

        return Finish(z, s, op);
    }
}
