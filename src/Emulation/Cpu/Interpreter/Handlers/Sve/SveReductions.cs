using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Integer reductions to a scalar, generated series, and addresses.</summary>
internal static unsafe class SveReductions
{
    private const int Result = 9;

    /// <summary>ORV and kin: Imm is what inactive elements stand for.</summary>
    public static void Form(Op* op)
    {
        SveForms.Three(op);
        int bits = 8 << op->Extra;
        op->Imm = SveForms.Field(op, 16) switch
        {
            0b01000 => 1ul << (bits - 1),
            0b01010 => ulong.MaxValue >> 1 >> (64 - bits),
            0b01011 or 0b11010 => ulong.MaxValue,
            _ => 0,
        };
    }

    /// <summary>ORV, EORV, ANDV, SMAXV, UMAXV, SMINV, UMINV.</summary>
    public static Op* Reduce(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        var lane = EncodingTable.Rows[op->Row].Lane;
        byte* n = z.Read(s, op->Rn, 0);
        int bits = 8 << op->Extra;
        ulong value = op->Imm & SveElements.Mask(bits);
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, op->Extra))
            {
                value = lane(s, 0, value, SveElements.Get(n, i, op->Extra), bits) & SveElements.Mask(bits);
            }
        }

        ScalableRegisters.WriteLow(s, op->Rd, value);
        return op + 1;
    }

    /// <summary>SADDV, UADDV (bit 16): a sum of 64 bits.</summary>
    public static Op* Sum(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        byte* n = z.Read(s, op->Rn, 0);
        bool signed = (op->Word & (1u << 16)) == 0;
        ulong sum = 0;
        for (int i = 0; i < z.Length >> op->Extra; i++)
        {
            if (SveElements.IsActive(z.Predicate(op->Shift), i, op->Extra))
            {
                ulong value = SveElements.Get(n, i, op->Extra);
                sum += signed ? (ulong)SveElements.SignExtend(value, 8 << op->Extra) : value;
            }
        }

        ScalableRegisters.WriteLow(s, op->Rd, sum);
        return op + 1;
    }

    /// <summary>INDEX: general registers at bits 9:5 and 20:16; where bit 10 or 11 is clear, an immediate is there instead.</summary>
    public static Op* Index(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        ulong value = (op->Word & (1u << 10)) != 0 ? s->X[op->Rn] : (ulong)SveElements.SignExtend(SveForms.Field(op, 5), 5);
        ulong step = (op->Word & (1u << 11)) != 0 ? s->X[op->Rm] : (ulong)SveElements.SignExtend(SveForms.Field(op, 16), 5);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> op->Extra; i++, value += step)
        {
            SveElements.Set(result, i, op->Extra, value);
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>ADR: bits 23:22 say how offsets are extended, bits 11:10 by how much they are shifted.</summary>
    public static Op* Address(VcpuCore core, CpuState* s, Op* op)
    {
        ScalableRegisters z = core.Scalable!;
        int kind = SveForms.Field(op, 22, 2);
        int size = kind == 2 ? 2 : 3;
        int shift = SveForms.Field(op, 10, 2);
        byte* n = z.Read(s, op->Rn, 0);
        byte* m = z.Read(s, op->Rm, 1);
        byte* result = z.Room(Result);
        for (int i = 0; i < z.Length >> size; i++)
        {
            ulong offset = SveElements.Get(m, i, size);
            offset = kind switch { 0 => (ulong)(int)offset, 1 => (uint)offset, _ => offset };
            SveElements.Set(result, i, size, SveElements.Get(n, i, size) + (offset << shift));
        }

        z.Write(s, op->Rd, result);
        return op + 1;
    }
}
