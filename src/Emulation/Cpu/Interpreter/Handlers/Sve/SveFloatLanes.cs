using System.Numerics;
using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>What floating-point instructions of SVE do with one element. The element's width chooses the format.</summary>
internal static unsafe class SveFloatLanes
{
    // FTMAD: coefficients of the series of sine, then of cosine, by width.
    private static ReadOnlySpan<ushort> HalfSeries => [0x3C00, 0xB155, 0x2030, 0, 0, 0, 0, 0, 0x3C00, 0xB800, 0x293A, 0, 0, 0, 0, 0];

    private static ReadOnlySpan<uint> SingleSeries =>
    [
        0x3F80_0000, 0xBE2A_AAAB, 0x3C08_8886, 0xB950_08B9, 0x3636_9D6D, 0, 0, 0,
        0x3F80_0000, 0xBF00_0000, 0x3D2A_AAA6, 0xBAB6_0705, 0x37CD_37CC, 0, 0, 0,
    ];

    private static ReadOnlySpan<ulong> DoubleSeries =>
    [
        0x3FF0_0000_0000_0000, 0xBFC5_5555_5555_5543, 0x3F81_1111_1110_F30C, 0xBF2A_01A0_19B9_2FC6,
        0x3EC7_1DE3_51F3_D22B, 0xBE5A_E5E2_B60F_7B91, 0x3DE5_D840_8868_552F, 0,
        0x3FF0_0000_0000_0000, 0xBFE0_0000_0000_0000, 0x3FA5_5555_5555_5536, 0xBF56_C16C_16C1_3A0B,
        0x3EFA_01A0_19B1_E8D8, 0xBE92_7E4F_7282_F468, 0x3E21_EE96_D264_1B13, 0xBDA8_F763_80FB_B401,
    ];

    /// <summary>An operation of Advanced SIMD.</summary>
    public static ulong Of<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, IFloatOperation => bits switch
        {
            16 => TOp.Apply<HalfFormat>(d, n, m, s->Fpcr, ref s->Fpsr),
            32 => TOp.Apply<SingleFormat>(d, n, m, s->Fpcr, ref s->Fpsr),
            _ => TOp.Apply<DoubleFormat>(d, n, m, s->Fpcr, ref s->Fpsr),
        };

    /// <summary>The same with the operands exchanged: FSUBR, FDIVR with immediates.</summary>
    public static ulong Reversed<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, IFloatOperation => Of<TOp>(s, d, m, n, bits);

    /// <summary>FCMNE: whatever is not equal, also a NaN.</summary>
    public static ulong NotEqual(CpuState* s, ulong d, ulong n, ulong m, int bits) => Of<FCmEq>(s, d, n, m, bits) == 0 ? 1ul : 0;

    /// <summary>FCMUO: one of both is a NaN.</summary>
    public static ulong Unordered(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        // Equality signals what this does.
        Of<FCmEq>(s, d, n, m, bits);
        return IsNan(n, bits) || IsNan(m, bits) ? 1ul : 0;
    }

    private static bool IsNan(ulong value, int bits)
    {
        int fraction = FractionOf(bits);
        ulong infinity = (SveElements.Mask(bits) >> 1) & ~SveElements.Mask(fraction);
        return (value & (SveElements.Mask(bits) >> 1)) > infinity;
    }

    private static int FractionOf(int bits) =>
        bits switch { 16 => HalfFormat.Fraction, 32 => SingleFormat.Fraction, _ => DoubleFormat.Fraction };

    private static ulong One(int bits) => bits switch { 16 => 0x3C00, 32 => 0x3F80_0000, _ => 0x3FF0_0000_0000_0000 };

    /// <summary>FTSSEL: n or 1.0 by bit 0 of m, with the sign turned by bit 1.</summary>
    public static ulong TrigonometricSelect(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        (m & 1) != 0 ? One(bits) | ((m >> 1 & 1) << (bits - 1)) : (m & 2) != 0 ? Of<FNeg>(s, 0, n, 0, bits) : n;

    /// <summary>FTSMUL: the square of n, with the sign that bit 0 of m says.</summary>
    public static ulong TrigonometricSquare(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        ulong square = Of<FMul>(s, 0, n, n, bits);
        ulong sign = 1ul << (bits - 1);
        return IsNan(square, bits) ? square : (square & ~sign) | ((m & 1) << (bits - 1));
    }

    /// <summary>FTMAD: n × |m| plus coefficient d of the series that the sign of m chooses.</summary>
    public static ulong TrigonometricStep(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        int index = (int)d + ((m >> (bits - 1) & 1) != 0 ? 8 : 0);
        ulong coefficient = bits switch { 16 => HalfSeries[index], 32 => SingleSeries[index], _ => DoubleSeries[index] };
        return Of<FMla>(s, coefficient, n, Of<FAbs>(s, 0, m, 0, bits), bits);
    }

    /// <summary>FEXPA: 2 to the power of a fraction at the bottom of n, with the exponent above it.</summary>
    public static ulong Exponential(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        int fraction = FractionOf(bits);
        int index = bits == 16 ? 5 : 6;
        ulong exponent = (n >> index) & SveElements.Mask(bits - 1 - fraction);
        return (exponent << fraction) | ExponentialTable.Fraction((int)(n & SveElements.Mask(index)), index, fraction);
    }

    /// <summary>FSCALE: n × 2 to the power of m, a signed integer.</summary>
    public static ulong Scale(CpuState* s, ulong d, ulong n, ulong m, int bits) => bits switch
    {
        16 => Scale<HalfFormat>(s, n, m),
        32 => Scale<SingleFormat>(s, n, m),
        _ => Scale<DoubleFormat>(s, n, m),
    };

    private static ulong Scale<F>(CpuState* s, ulong n, ulong m)
        where F : struct, IFloatFormat
    {
        // Beyond this every number overflows, or becomes zero.
        const long far = 4096;
        Unpacked x = SoftFloat.Unpack<F>(n, s->Fpcr, ref s->Fpsr);
        if (x.IsNan)
        {
            return SoftFloat.ProcessNan<F>(x.Kind, n, s->Fpcr, ref s->Fpsr);
        }

        SoftFloat.Use<F>(x, s->Fpcr, ref s->Fpsr);
        return x.Kind switch
        {
            FloatKind.Zero => SoftFloat.Signed<F>(x.Sign, 0),
            FloatKind.Infinity => SoftFloat.Signed<F>(x.Sign, SoftFloat.InfinityBits<F>()),
            _ => SoftFloat.Round<F>(
                x.Sign, x.Exponent + (int)Math.Clamp(SveElements.SignExtend(m, F.Width), -far, far), x.Significand, s->Fpcr,
                Fpcr.Mode(s->Fpcr), ref s->Fpsr),
        };
    }

    /// <summary>FLOGB: the exponent as a signed integer.</summary>
    public static ulong Logarithm(CpuState* s, ulong d, ulong n, ulong m, int bits) => bits switch
    {
        16 => Logarithm<HalfFormat>(s, n),
        32 => Logarithm<SingleFormat>(s, n),
        _ => Logarithm<DoubleFormat>(s, n),
    };

    private static ulong Logarithm<F>(CpuState* s, ulong n)
        where F : struct, IFloatFormat
    {
        Unpacked x = SoftFloat.Unpack<F>(n, s->Fpcr, ref s->Fpsr);
        if (x.Kind == FloatKind.Number)
        {
            SoftFloat.Use<F>(x, s->Fpcr, ref s->Fpsr);
            return (ulong)x.Exponent;
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return SoftFloat.SignBit<F>() - 1;
        }

        s->Fpsr |= Fpsr.InvalidOperation;
        return SoftFloat.SignBit<F>();
    }

    /// <summary>FCVT, BFCVT: the value at the bottom of the element, and the result with zeros above it. FPCR.AHP plays no part.</summary>
    public static ulong Convert<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => SoftFloat.Convert<TFrom, TTo>(
            n & SveElements.Mask(TFrom.Width), s->Fpcr & ~Fpcr.AlternativeHalf, ref s->Fpsr);

    /// <summary>FCVTX: rounded to odd.</summary>
    public static ulong ConvertToOdd(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        SoftFloat.Convert<DoubleFormat, SingleFormat>(n, s->Fpcr, ref s->Fpsr, Rounding.Odd);

    /// <summary>FCVTZS, FCVTZU to an integer of the width of the second format, extended to the element.</summary>
    public static ulong ToSigned<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => (ulong)SveElements.SignExtend(ToInteger<TFrom, TTo>(s, n, signed: true), TTo.Width);

    public static ulong ToUnsigned<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => ToInteger<TFrom, TTo>(s, n, signed: false) & SveElements.Mask(TTo.Width);

    private static ulong ToInteger<TFrom, TTo>(CpuState* s, ulong n, bool signed)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => SoftFloat.ToFixed<TFrom>(
            n & SveElements.Mask(TFrom.Width), 0, TTo.Width, signed, Rounding.Zero, s->Fpcr, ref s->Fpsr);

    /// <summary>SCVTF, UCVTF of an integer of the width of the first format.</summary>
    public static ulong FromSigned<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat =>
        SoftFloat.FromFixed<TTo>((ulong)SveElements.SignExtend(n, TFrom.Width), 0, true, s->Fpcr, ref s->Fpsr);

    public static ulong FromUnsigned<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat =>
        SoftFloat.FromFixed<TTo>(n & SveElements.Mask(TFrom.Width), 0, false, s->Fpcr, ref s->Fpsr);

    /// <summary>FMLAL: the product of halves added to a single.</summary>
    public static ulong MultiplyAddHalves(CpuState* s, ulong d, ulong n, ulong m) => SoftFloat.MultiplyAdd<SingleFormat>(
        d, FloatingPointHalfLong.Widen((ushort)n, s->Fpcr), FloatingPointHalfLong.Widen((ushort)m, s->Fpcr), s->Fpcr, ref s->Fpsr);

    /// <summary>FCVTNT, BFCVTNT: the result is the upper half of the element.</summary>
    public static ulong ConvertTop<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => Top(d, Convert<TFrom, TTo>(s, d, n, m, bits), bits);

    /// <summary>FCVTXNT.</summary>
    public static ulong ConvertToOddTop(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        Top(d, ConvertToOdd(s, d, n, m, bits), bits);

    /// <summary>FCVTLT: the upper half of the element.</summary>
    public static ulong ConvertFromTop<TFrom, TTo>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TFrom : struct, IFloatFormat
        where TTo : struct, IFloatFormat => Convert<TFrom, TTo>(s, d, n >> (bits / 2), m, bits);

    private static ulong Top(ulong d, ulong value, int bits) => (d & SveElements.Mask(bits / 2)) | (value << (bits / 2));

    /// <summary>Zd, Zn, Pg, with the size at bits 18:17: FLOGB.</summary>
    public static void LogarithmForm(Op* op)
    {
        SveForms.Two(op);
        op->Extra = SveForms.Field(op, 17, 2);
    }

    // The fractions of 2 to the power of i / 2^n, rounded to nearest. Made when they are first wanted.
    private static class ExponentialTable
    {
        private const int Precision = 128;

        private static readonly BigInteger[] s_powers = Make();

        public static ulong Fraction(int i, int indexBits, int fractionBits)
        {
            BigInteger power = s_powers[i << (6 - indexBits)] - (BigInteger.One << Precision);
            int shift = Precision - fractionBits;
            return (ulong)((power + (BigInteger.One << (shift - 1))) >> shift);
        }

        // 2 to the power of i / 64, with 128 bits behind the point.
        private static BigInteger[] Make()
        {
            const int extra = 64;
            BigInteger root = BigInteger.One << (Precision + extra + 1);
            for (int i = 0; i < 6; i++)
            {
                root = SquareRoot(root << (Precision + extra));
            }

            var powers = new BigInteger[64];
            BigInteger power = BigInteger.One << (Precision + extra);
            for (int i = 0; i < powers.Length; i++)
            {
                powers[i] = power >> extra;
                power = (power * root) >> (Precision + extra);
            }

            return powers;
        }

        private static BigInteger SquareRoot(BigInteger value)
        {
            BigInteger root = BigInteger.One << (int)((value.GetBitLength() + 1) / 2);
            while (true)
            {
                BigInteger next = (root + (value / root)) >> 1;
                if (next >= root)
                {
                    return root;
                }

                root = next;
            }
        }
    }
}
