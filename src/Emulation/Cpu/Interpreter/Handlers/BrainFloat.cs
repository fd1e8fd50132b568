using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// FEAT_BF16 (Arm ARM C7.2). BFDOT and BFMMLA have an arithmetic of their own (J1.3, BFDotAdd): subnormal numbers are zeros, each product
/// and each sum is rounded to odd, overflow is an infinity, every NaN is the default one, and FPCR and FPSR play no part.
/// </summary>
internal static unsafe class BrainFloat
{
    private const uint DefaultNan = 0x7FC0_0000;
    private const uint Sign = 1u << 31;
    private const uint Infinity = 0x7F80_0000;

    /// <summary>Multiplication of the odd (BFMLALT) or even (BFMLALB) elements: Ra = 1 or 0.</summary>
    public static void Long(Op* op)
    {
        FloatingPointScalar.Fields(op);
        op->Ra = (byte)((op->Word >> 30) & 1);
    }

    /// <summary>The same by an element of V0 to V15, whose index is in Extra.</summary>
    public static void LongElement(Op* op)
    {
        FloatingPointVector.VectorElement<HalfFormat>(op);
        op->Ra = (byte)((op->Word >> 30) & 1);
    }

    /// <summary>BFCVT: a single.</summary>
    public static Op* Convert(VcpuCore core, CpuState* s, Op* op) => FloatingPointVector.Finish(
        s, op, SoftFloat.Convert<SingleFormat, BrainFormat>((uint)s->V[2 * op->Rn], s->Fpcr, ref s->Fpsr));

    public static Op* MultiplyAddLong(VcpuCore core, CpuState* s, Op* op) => MultiplyAddLong(s, op, byElement: false);

    public static Op* MultiplyAddLongByElement(VcpuCore core, CpuState* s, Op* op) => MultiplyAddLong(s, op, byElement: true);

    // BFMLALB, BFMLALT: in the arithmetic of single precision.
    private static Op* MultiplyAddLong(CpuState* s, Op* op, bool byElement)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        ushort* n = VectorAccess.Lanes<ushort>(s, op->Rn) + op->Ra;
        ushort* m = VectorAccess.Lanes<ushort>(s, op->Rm) + (byElement ? op->Extra : op->Ra);
        for (int i = 0; i < 4; i++)
        {
            ulong a = (ulong)n[2 * i] << 16;
            ulong b = (ulong)m[byElement ? 0 : 2 * i] << 16;
            ((uint*)&result)[i] = (uint)SoftFloat.MultiplyAdd<SingleFormat>(d[i], a, b, s->Fpcr, ref s->Fpsr);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    /// <summary>BFDOT: each single adds the products of its two pairs.</summary>
    public static Op* Dot(VcpuCore core, CpuState* s, Op* op) => Dot(s, op, byElement: false);

    /// <summary>BFDOT (by element): the second pair is always the same.</summary>
    public static Op* DotByElement(VcpuCore core, CpuState* s, Op* op) => Dot(s, op, byElement: true);

    private static Op* Dot(CpuState* s, Op* op, bool byElement)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint* n = VectorAccess.Lanes<uint>(s, op->Rn);
        uint* m = VectorAccess.Lanes<uint>(s, op->Rm);
        for (int i = 0; i < op->Shift / 4; i++)
        {
            ((uint*)&result)[i] = DotAdd(d[i], n[i], m[byElement ? op->Extra : i]);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    /// <summary>BFMMLA: d, a matrix of 2 × 2 singles by rows, plus n, of 2 × 4, times the transpose of m.</summary>
    public static Op* MatrixMultiply(VcpuCore core, CpuState* s, Op* op)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint* n = VectorAccess.Lanes<uint>(s, op->Rn);
        uint* m = VectorAccess.Lanes<uint>(s, op->Rm);
        for (int i = 0; i < 4; i++)
        {
            int row = i & 2;
            int column = 2 * (i & 1);
            uint sum = DotAdd(d[i], n[row], m[column]);
            ((uint*)&result)[i] = DotAdd(sum, n[row + 1], m[column + 1]);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    internal static uint DotAdd(uint addend, uint n, uint m)
    {
        uint low = Multiply(n << 16, m << 16);
        uint high = Multiply(n & 0xFFFF_0000, m & 0xFFFF_0000);
        return Add(addend, Add(low, high));
    }

    // The product of two significands of 8 bits is exact in a double.
    private static uint Multiply(uint a, uint b) => Round(Widen(a) * Widen(b));

    // The sum in a double, rounded to odd: what the host's rounding lost says on which side of it the exact sum lies.
    private static uint Add(uint a, uint b)
    {
        double x = Widen(a);
        double y = Widen(b);
        double sum = x + y;
        double part = sum - x;
        double lost = (x - (sum - part)) + (y - part);
        ulong bits = BitConverter.DoubleToUInt64Bits(sum);
        if (lost != 0 && !double.IsNaN(lost) && (bits & 1) == 0)
        {
            bits = (lost > 0) == (sum > 0) ? bits + 1 : bits - 1;
        }

        return Round(BitConverter.UInt64BitsToDouble(bits));
    }

    private static double Widen(uint single) => BitConverter.UInt32BitsToSingle((single & Infinity) == 0 ? single & Sign : single);

    // BFRound: to odd, from the bits of a double that are beyond those of a single.
    private static uint Round(double value)
    {
        ulong bits = BitConverter.DoubleToUInt64Bits(value);
        uint sign = (uint)(bits >> 32) & Sign;
        int exponent = ((int)(bits >> 52) & 0x7FF) - 1023 + 127;
        if (double.IsNaN(value))
        {
            return DefaultNan;
        }

        if (exponent <= 0)
        {
            return sign;
        }

        ulong fraction = bits & ((1ul << 52) - 1);
        uint odd = (fraction & ((1ul << 29) - 1)) != 0 ? 1u : 0;
        return exponent >= 255 ? sign | Infinity : sign | ((uint)exponent << 23) | (uint)(fraction >> 29) | odd;
    }
}
