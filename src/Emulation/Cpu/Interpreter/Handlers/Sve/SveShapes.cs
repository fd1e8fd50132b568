using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Decoding;
using unsafe Lane = delegate*<Vmm.Emulation.Cpu.CpuState*, ulong, ulong, ulong, int, ulong>;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// Instructions that do one thing with each element (<see cref="EncodingRow.Lane"/>): of each element of Ra, Rn and a second operand, an
/// element of Rd. Results are gathered apart before they are written, since the destination may be a source too.
/// </summary>
internal static unsafe class SveShapes
{
    private const int Result = 9;

    private enum Second
    {
        Register,
        Immediate,

        // The doubleword of the register in which the element lies.
        Wide,

        // The element with an index in the same 128 bits, and one of half the size.
        Indexed,
        IndexedHalf,
    }

    private enum Predication
    {
        None,

        // Inactive elements of the destination stay as they are, or become zero.
        Merge,
        Zero,
    }

    public static Op* Each(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Register, Predication.None);

    public static Op* EachImmediate(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Immediate, Predication.None);

    public static Op* EachWide(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Wide, Predication.None);

    public static Op* EachIndexed(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Indexed, Predication.None);

    public static Op* EachIndexedHalf(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.IndexedHalf, Predication.None);

    public static Op* Merge(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Register, Predication.Merge);

    public static Op* MergeImmediate(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Immediate, Predication.Merge);

    public static Op* MergeWide(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Wide, Predication.Merge);

    public static Op* Zero(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Register, Predication.Zero);

    public static Op* ZeroImmediate(VcpuCore core, CpuState* s, Op* op) => Run(core, s, op, Second.Immediate, Predication.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Run(VcpuCore core, CpuState* s, Op* op, Second second, Predication predication)
    {
        ScalableRegisters z = core.Scalable!;
        Lane lane = EncodingTable.Rows[op->Row].Lane;
        int size = op->Extra;
        int bits = 8 << size;
        byte* old = z.Read(s, op->Rd, 0);
        byte* a = z.Read(s, op->Ra, 1);
        byte* n = z.Read(s, op->Rn, 2);
        byte* m = second == Second.Immediate ? n : z.Read(s, op->Rm, 3);
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value;
            if (predication != Predication.None && !SveElements.IsActive(governing, i, size))
            {
                value = predication == Predication.Zero ? 0 : SveElements.Get(old, i, size);
            }
            else
            {
                ulong other = second switch
                {
                    Second.Register => SveElements.Get(m, i, size),
                    Second.Immediate => op->Imm,
                    Second.IndexedHalf => SveElements.Get(m, (2 * (i & -(16 >> size))) + (int)op->Imm, size - 1),
                    Second.Indexed => SveElements.Get(m, (i & -(16 >> size)) + (int)op->Imm, size),
                    _ => ((ulong*)m)[(i << size) >> 3],
                };
                value = lane(s, SveElements.Get(a, i, size), SveElements.Get(n, i, size), other, bits);
            }

            SveElements.Set(result, i, size, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>Integer comparisons: a predicate, and flags of it.</summary>
    public static Op* Compare(VcpuCore core, CpuState* s, Op* op) => Compare(core, s, op, Second.Register, flags: true);

    public static Op* CompareImmediate(VcpuCore core, CpuState* s, Op* op) => Compare(core, s, op, Second.Immediate, flags: true);

    /// <summary>With doublewords; the elements are extended to their size, with the sign unless bits 15:14 are 11.</summary>
    public static Op* CompareWide(VcpuCore core, CpuState* s, Op* op) => Compare(core, s, op, Second.Wide, flags: true);

    /// <summary>Floating-point comparisons leave the flags alone.</summary>
    public static Op* CompareFloat(VcpuCore core, CpuState* s, Op* op) => Compare(core, s, op, Second.Register, flags: false);

    public static Op* CompareFloatZero(VcpuCore core, CpuState* s, Op* op) => Compare(core, s, op, Second.Immediate, flags: false);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Compare(VcpuCore core, CpuState* s, Op* op, Second second, bool flags)
    {
        ScalableRegisters z = core.Scalable!;
        Lane lane = EncodingTable.Rows[op->Row].Lane;
        int size = op->Extra;
        int bits = second == Second.Wide ? 64 : 8 << size;
        bool signed = ((op->Word >> 14) & 3) != 3;
        byte* n = z.Read(s, op->Rn, 2);
        byte* m = second == Second.Immediate ? n : z.Read(s, op->Rm, 3);
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(Result);
        new Span<byte>(result, z.Length / 8).Clear();
        int count = z.Length >> size;
        for (int i = 0; i < count; i++)
        {
            if (SveElements.IsActive(governing, i, size))
            {
                ulong one = SveElements.Get(n, i, size);
                ulong other = second switch
                {
                    Second.Register => SveElements.Get(m, i, size),
                    Second.Immediate => op->Imm & SveElements.Mask(bits),
                    _ => ((ulong*)m)[(i << size) >> 3],
                };
                one = second == Second.Wide && signed ? (ulong)SveElements.SignExtend(one, 8 << size) : one;
                if (lane(s, 0, one, other, bits) != 0)
                {
                    SveElements.Activate(result, i, size);
                }
            }
        }

        if (flags)
        {
            s->Nzcv = SveElements.Test(governing, result, count, size);
        }

        new Span<byte>(result, z.Length / 8).CopyTo(new Span<byte>(z.Predicate(op->Rd), z.Length / 8));
        return op + 1;
    }
}
