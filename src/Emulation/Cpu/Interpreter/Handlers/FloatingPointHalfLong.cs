using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// FEAT_FHM: products of half precision, added to single precision with one rounding (Arm ARM C7.2, FMLAL and FMLSL).
/// <see cref="Op.Ra"/> is the first element of the sources, <see cref="Op.Extra"/> the index of a form by element.
/// </summary>
internal static unsafe class FloatingPointHalfLong
{
    /// <summary>FMLAL and FMLSL; the "2" forms, with bit 29, use the upper halves of the sources.</summary>
    public static void Vector(Op* op)
    {
        FloatingPointVector.Vector(op);
        op->Ra = (byte)((op->Word & (1u << 29)) != 0 ? op->Shift / 4 : 0);
    }

    /// <summary>By element: the index is H:L:M, and m is one of V0 to V15.</summary>
    public static void Element(Op* op)
    {
        FloatingPointVector.VectorElement<HalfFormat>(op);
        op->Ra = (byte)((op->Word & (1u << 29)) != 0 ? op->Shift / 4 : 0);
    }

    public static Op* Add(VcpuCore core, CpuState* s, Op* op) => Accumulate(s, op, negate: false, byElement: false);

    public static Op* Subtract(VcpuCore core, CpuState* s, Op* op) => Accumulate(s, op, negate: true, byElement: false);

    public static Op* AddByElement(VcpuCore core, CpuState* s, Op* op) => Accumulate(s, op, negate: false, byElement: true);

    public static Op* SubtractByElement(VcpuCore core, CpuState* s, Op* op) => Accumulate(s, op, negate: true, byElement: true);

    private static Op* Accumulate(CpuState* s, Op* op, bool negate, bool byElement)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        ushort* n = VectorAccess.Lanes<ushort>(s, op->Rn) + op->Ra;
        ushort* m = VectorAccess.Lanes<ushort>(s, op->Rm) + (byElement ? op->Extra : op->Ra);
        for (int i = 0; i < op->Shift / 4; i++)
        {
            ulong a = Widen(n[i], s->Fpcr);
            a = negate ? SoftFloat.Negate<SingleFormat>(a, s->Fpcr) : a;
            ulong b = Widen(m[byElement ? 0 : i], s->Fpcr);
            ((uint*)&result)[i] = (uint)SoftFloat.MultiplyAdd<SingleFormat>(d[i], a, b, s->Fpcr, ref s->Fpsr);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    // A half as the single of the same value, a NaN with its payload and as quiet as it is. FZ16 makes zeros of subnormal ones.
    internal static uint Widen(ushort half, uint fpcr)
    {
        uint sign = (uint)(half & 0x8000) << 16;
        uint magnitude = half & 0x7FFFu;
        if (magnitude >= 0x7C00)
        {
            return sign | 0x7F80_0000 | ((magnitude & 0x3FF) << 13);
        }

        if (magnitude < 0x400)
        {
            return (fpcr & Fpcr.FlushHalf) != 0 ? sign : sign | BitConverter.SingleToUInt32Bits(magnitude * (1f / (1 << 24)));
        }

        return sign | ((magnitude << 13) + (112u << 23));
    }
}
