using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Instructions that move elements between places, and between vectors and other registers.</summary>
internal static unsafe class SvePermute
{
    private const int Result = 9;

    /// <summary>Where ZIP1, ZIP2, UZP1, UZP2, TRN1 and TRN2, 0 to 5, take an element from.</summary>
    /// <param name="i">The element of the result.</param>
    /// <param name="count">Elements of a vector. A last one that has no pair is zero.</param>
    /// <returns>Whether it comes of the second operand, and its index; -1 for zero.</returns>
    public static (bool Second, int Index) Source(int kind, int i, int count)
    {
        int pairs = count / 2;
        int part = kind & 1;
        return i >= 2 * pairs ? (false, -1) : (kind >> 1) switch
        {
            0 => ((i & 1) != 0, (part * pairs) + (i / 2)),
            1 => i < pairs ? (false, (2 * i) + part) : (true, (2 * (i - pairs)) + part),
            _ => ((i & 1) != 0, (i & ~1) + part),
        };
    }

    /// <summary>ZIP1 to TRN2 of elements, by bits 12:10.</summary>
    public static Op* Permute(VcpuCore core, CpuState* s, Op* op) => Permute(core, s, op, SveForms.Field(op, 10, 3), op->Extra);

    /// <summary>The same of 128 bits each, FEAT_F64MM, where TRN is 6 and 7.</summary>
    public static Op* PermuteQuadwords(VcpuCore core, CpuState* s, Op* op)
    {
        int kind = SveForms.Field(op, 10, 3);
        return core.Scalable!.Length < 32 ? core.TakeUndefined(op) : Permute(core, s, op, kind >= 6 ? kind - 2 : kind, 4);
    }

    private static Op* Permute(VcpuCore core, CpuState* s, Op* op, int kind, int size)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        int count = z.Length >> size;
        for (int i = 0; i < count; i++)
        {
            (bool second, int index) = Source(kind, i, count);
            var to = new Span<byte>(result + (i << size), 1 << size);
            if (index < 0)
            {
                to.Clear();
            }
            else
            {
                new ReadOnlySpan<byte>((second ? m : n) + (index << size), 1 << size).CopyTo(to);
            }
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>EXT: bytes from a position on, which is in bits 20:16 and 12:10, of two vectors in a row.</summary>
    public static Op* Extract(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        int position = (SveForms.Field(op, 16) << 3) | SveForms.Field(op, 10, 3);
        position = position < z.Length ? position : 0;
        new ReadOnlySpan<byte>(n + position, z.Length - position).CopyTo(new Span<byte>(result, z.Length));
        new ReadOnlySpan<byte>(m, position).CopyTo(new Span<byte>(result + z.Length - position, position));
        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>Constructive EXT: Zn and the register behind it.</summary>
    public static void ExtractForm(Op* op)
    {
        SveForms.Three(op);
        op->Rm = (byte)((op->Rn + 1) & 31);
    }

    /// <summary>DUP (indexed): tsz in bits 20:16 has the size as its lowest bit that is set, the index is above it.</summary>
    public static Op* DuplicateElement(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* result = z.Room(Result);
        int bits = (SveForms.Field(op, 22, 2) << 5) | SveForms.Field(op, 16);
        int size = BitOperations.TrailingZeroCount(bits);
        int at = (bits >> (size + 1)) << size;
        for (int i = 0; i < z.Length; i += 1 << size)
        {
            var to = new Span<byte>(result + i, 1 << size);
            if (at < z.Length)
            {
                new ReadOnlySpan<byte>(n + at, 1 << size).CopyTo(to);
            }
            else
            {
                to.Clear();
            }
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>Zd, and a general register or SP at bits 9:5; Pg.</summary>
    public static void FromGeneral(Op* op)
    {
        SveForms.Three(op);
        op->Rn = SveForms.Base(op);
    }

    /// <summary>Zd, and a general register at bits 9:5: INSR.</summary>
    public static void FromGeneralOrZero(Op* op)
    {
        SveForms.Three(op);
        op->Rm = op->Rd;
    }

    public static Op* DuplicateGeneral(VcpuCore core, CpuState* s, Op* op) => Broadcast(core, s, op, s->X[op->Rn]);

    private static Op* Broadcast(VcpuCore core, CpuState* s, Op* op, ulong value)
    {
        ScalableRegisters z = core.Scalable!;
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            SveElements.Set(result, i, op->Extra, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>CPY of a general register, and of a SIMD and FP scalar, under a predicate.</summary>
    public static Op* CopyGeneral(VcpuCore core, CpuState* s, Op* op) => Copy(core, s, op, s->X[op->Rn]);

    public static Op* CopyScalar(VcpuCore core, CpuState* s, Op* op) => Copy(core, s, op, s->V[2 * op->Rn]);

    private static Op* Copy(VcpuCore core, CpuState* s, Op* op, ulong value)
    {
        ScalableRegisters z = core.Scalable!;
        byte* old = z.Read(s, op->Rd, 0);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            bool active = SveElements.IsActive(z.Predicate(op->Shift), i, op->Extra);
            SveElements.Set(result, i, op->Extra, active ? value : SveElements.Get(old, i, op->Extra));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>INSR of a general register, and of a SIMD and FP scalar: the elements move up by one.</summary>
    public static Op* InsertGeneral(VcpuCore core, CpuState* s, Op* op) => Insert(core, s, op, s->X[op->Rn]);

    public static Op* InsertScalar(VcpuCore core, CpuState* s, Op* op) => Insert(core, s, op, s->V[2 * op->Rn]);

    private static Op* Insert(VcpuCore core, CpuState* s, Op* op, ulong value)
    {
        ScalableRegisters z = core.Scalable!;
        byte* old = z.Read(s, op->Rd, 0);
        byte* result = z.Room(Result);
        int bytes = 1 << op->Extra;
        new ReadOnlySpan<byte>(old, z.Length - bytes).CopyTo(new Span<byte>(result + bytes, z.Length - bytes));
        SveElements.Set(result, 0, op->Extra, value);
        z.Write(s, op->Rd, result);
        return op + 1;
    }

    public static Op* Reverse(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* result = z.Room(Result);
        int count = z.Length >> op->Extra;
        for (int i = 0; i < count; i++)
        {
            SveElements.Set(result, i, op->Extra, SveElements.Get(n, count - 1 - i, op->Extra));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>TBL of one register.</summary>
    public static Op* TableLookUp(VcpuCore core, CpuState* s, Op* op) => LookUp(core, s, op, registers: 1, keeps: false);

    /// <summary>TBL of two registers.</summary>
    public static Op* TableLookUpTwo(VcpuCore core, CpuState* s, Op* op) => LookUp(core, s, op, registers: 2, keeps: false);

    /// <summary>TBX: what is beyond the table stays as it is.</summary>
    public static Op* TableExtension(VcpuCore core, CpuState* s, Op* op) => LookUp(core, s, op, registers: 1, keeps: true);

    private static Op* LookUp(VcpuCore core, CpuState* s, Op* op, int registers, bool keeps)
    {
        ScalableRegisters z = core.Scalable!;
        byte* old = z.Read(s, op->Rd, 0);
        byte* first = z.Read(s, op->Rn, 1);
        byte* second = z.Read(s, (op->Rn + 1) & 31, 2);
        byte* m = z.Read(s, op->Rm, 3);
        byte* result = z.Room(Result);
        int count = z.Length >> op->Extra;
        for (int i = 0; i < count; i++)
        {
            ulong index = SveElements.Get(m, i, op->Extra);
            ulong value = index < (ulong)count ? SveElements.Get(first, (int)index, op->Extra)
                : registers == 2 && index < 2 * (ulong)count ? SveElements.Get(second, (int)index - count, op->Extra)
                : keeps ? SveElements.Get(old, i, op->Extra)
                : 0;
            SveElements.Set(result, i, op->Extra, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>SUNPKLO, SUNPKHI, UUNPKLO, UUNPKHI: bit 17 unsigned, bit 16 the high half. The size is that of the result.</summary>
    public static Op* Unpack(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int size = op->Extra;
        byte* n = z.Read(s, op->Rn, 0) + ((op->Word & (1u << 16)) != 0 ? z.Length / 2 : 0);
        byte* result = z.Room(Result);
        bool signed = (op->Word & (1u << 17)) == 0;
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong value = SveElements.Get(n, i, size - 1);
            SveElements.Set(result, i, size, signed ? (ulong)SveElements.SignExtend(value, 4 << size) : value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    public static Op* Compact(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* result = z.Room(Result);
        new Span<byte>(result, z.Length).Clear();
        int next = 0;
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, op->Extra))
            {
                SveElements.Set(result, next++, op->Extra, SveElements.Get(n, i, op->Extra));
            }
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    // The element behind the last active one (LASTA, bit 16 clear) or that one; -1 when none is active.
    private static int LastIndex(ScalableRegisters z, Op* op)
    {
        int count = z.Length >> op->Extra;
        int last = SvePredicates.Last(z.Predicate(op->Shift), count, op->Extra);
        return last < 0 || (op->Word & (1u << 16)) != 0 ? last : last + 1 == count ? 0 : last + 1;
    }

    // The same where an element is copied in any case.
    private static ulong LastElement(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int index = LastIndex(z, op);
        index = index >= 0 ? index : (op->Word & (1u << 16)) != 0 ? (z.Length >> op->Extra) - 1 : 0;
        return SveElements.Get(z.Read(s, op->Rn, 0), index, op->Extra);
    }

    /// <summary>Xd, Zn, Pg.</summary>
    public static void ToGeneral(Op* op)
    {
        SveForms.Three(op);
        op->Rd = op->Rd == CpuState.Zr ? (byte)CpuState.Sink : op->Rd;
    }

    /// <summary>The same with Xd as a source, too, in Ra.</summary>
    public static void ToGeneralOrKept(Op* op)
    {
        ToGeneral(op);
        op->Ra = SveForms.Field(op, 0);
    }

    /// <summary>LASTA, LASTB to a general register, and to a SIMD and FP scalar.</summary>
    public static Op* LastToGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = LastElement(core, s, op);
        return op + 1;
    }

    public static Op* LastToScalar(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters.WriteLow(s, op->Rd, LastElement(core, s, op));
        return op + 1;
    }

    /// <summary>CLASTA, CLASTB to a vector, a general register, a scalar: without an active element the old value stays.</summary>
    public static Op* ConditionalLast(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int index = LastIndex(z, op);
        return index < 0 ? op + 1 : Broadcast(core, s, op, SveElements.Get(z.Read(s, op->Rm, 0), index, op->Extra));
    }

    public static Op* ConditionalLastToGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int index = LastIndex(z, op);
        s->X[op->Rd] = index < 0
            ? s->X[op->Ra] & SveElements.Mask(8 << op->Extra)
            : SveElements.Get(z.Read(s, op->Rn, 0), index, op->Extra);
        return op + 1;
    }

    public static Op* ConditionalLastToScalar(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int index = LastIndex(z, op);
        ulong value = index < 0
            ? s->V[2 * op->Rd] & SveElements.Mask(8 << op->Extra)
            : SveElements.Get(z.Read(s, op->Rn, 0), index, op->Extra);
        ScalableRegisters.WriteLow(s, op->Rd, value);
        return op + 1;
    }

    /// <summary>SPLICE: from the first active element to the last, then the second vector.</summary>
    public static Op* Splice(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* governing = z.Predicate(op->Shift);
        byte* result = z.Room(Result);
        int count = z.Length >> op->Extra;
        int last = SvePredicates.Last(governing, count, op->Extra);
        int next = 0;
        bool begun = false;
        for (int i = 0; i <= last; i++)
        {
            begun |= SveElements.IsActive(governing, i, op->Extra);
            if (begun)
            {
                SveElements.Set(result, next++, op->Extra, SveElements.Get(n, i, op->Extra));
            }
        }

        for (int i = 0; next < count; i++)
        {
            SveElements.Set(result, next++, op->Extra, SveElements.Get(m, i, op->Extra));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>Constructive SPLICE: Zn and the register behind it.</summary>
    public static void SpliceForm(Op* op)
    {
        SveForms.Three(op);
        op->Rm = (byte)((op->Rn + 1) & 31);
    }

    public static Op* Select(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            bool active = SveElements.IsActive(z.Predicate(op->Shift), i, op->Extra);
            SveElements.Set(result, i, op->Extra, SveElements.Get(active ? n : m, i, op->Extra));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }
}
