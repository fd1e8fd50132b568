namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Data processing with an immediate operand.</summary>
internal static unsafe class IntegerImmediate
{
    public static Op* Adr(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->CodePageVa + op->Offset + op->Imm;
        return op + 1;
    }

    public static Op* Adrp(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->CodePageVa + op->Imm;
        return op + 1;
    }

    public static Op* Add32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(s->X[op->Rn] + op->Imm);
        return op + 1;
    }

    public static Op* Add64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] + op->Imm;
        return op + 1;
    }

    public static Op* Adds32(VcpuCore core, CpuState* s, Op* op)
    {
        uint a = (uint)s->X[op->Rn];
        uint b = (uint)op->Imm;
        uint r = a + b;
        s->Nzcv = Flags.Add32(a, b, r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* Adds64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong a = s->X[op->Rn];
        ulong r = a + op->Imm;
        s->Nzcv = Flags.Add64(a, op->Imm, r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* Sub32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(s->X[op->Rn] - op->Imm);
        return op + 1;
    }

    public static Op* Sub64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] - op->Imm;
        return op + 1;
    }

    public static Op* Subs32(VcpuCore core, CpuState* s, Op* op)
    {
        uint a = (uint)s->X[op->Rn];
        uint b = (uint)op->Imm;
        uint r = a - b;
        s->Nzcv = Flags.Sub32(a, b, r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* Subs64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong a = s->X[op->Rn];
        ulong r = a - op->Imm;
        s->Nzcv = Flags.Sub64(a, op->Imm, r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* And32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(s->X[op->Rn] & op->Imm);
        return op + 1;
    }

    public static Op* And64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] & op->Imm;
        return op + 1;
    }

    public static Op* Orr32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(s->X[op->Rn] | op->Imm);
        return op + 1;
    }

    public static Op* Orr64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] | op->Imm;
        return op + 1;
    }

    public static Op* Eor32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(s->X[op->Rn] ^ op->Imm);
        return op + 1;
    }

    public static Op* Eor64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] ^ op->Imm;
        return op + 1;
    }

    public static Op* Ands32(VcpuCore core, CpuState* s, Op* op)
    {
        uint r = (uint)(s->X[op->Rn] & op->Imm);
        s->Nzcv = Flags.Logical32(r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* Ands64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong r = s->X[op->Rn] & op->Imm;
        s->Nzcv = Flags.Logical64(r);
        s->X[op->Rd] = r;
        return op + 1;
    }

    public static Op* Movn32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)~op->Imm;
        return op + 1;
    }

    public static Op* Movn64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = ~op->Imm;
        return op + 1;
    }

    public static Op* Movz(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = op->Imm;
        return op + 1;
    }

    public static Op* Movk32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)((s->X[op->Rd] & ~(0xFFFFul << op->Shift)) | op->Imm);
        return op + 1;
    }

    public static Op* Movk64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (s->X[op->Rd] & ~(0xFFFFul << op->Shift)) | op->Imm;
        return op + 1;
    }

    // Bitfield moves: imms (Shift) >= immr (Extra) extracts a field to bit 0, otherwise the low imms + 1 bits go to bit (size - immr).
    public static Op* Ubfm32(VcpuCore core, CpuState* s, Op* op)
    {
        uint x = (uint)s->X[op->Rn];
        s->X[op->Rd] = op->Shift >= op->Extra
            ? (x << (31 - op->Shift)) >> (31 - op->Shift + op->Extra)
            : (x << (31 - op->Shift)) >> (31 - op->Shift) << (32 - op->Extra);
        return op + 1;
    }

    public static Op* Ubfm64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong x = s->X[op->Rn];
        s->X[op->Rd] = op->Shift >= op->Extra
            ? (x << (63 - op->Shift)) >> (63 - op->Shift + op->Extra)
            : (x << (63 - op->Shift)) >> (63 - op->Shift) << (64 - op->Extra);
        return op + 1;
    }

    public static Op* Sbfm32(VcpuCore core, CpuState* s, Op* op)
    {
        int x = (int)s->X[op->Rn];
        s->X[op->Rd] = (uint)(op->Shift >= op->Extra
            ? (x << (31 - op->Shift)) >> (31 - op->Shift + op->Extra)
            : (x << (31 - op->Shift)) >> (31 - op->Shift) << (32 - op->Extra));
        return op + 1;
    }

    public static Op* Sbfm64(VcpuCore core, CpuState* s, Op* op)
    {
        long x = (long)s->X[op->Rn];
        s->X[op->Rd] = (ulong)(op->Shift >= op->Extra
            ? (x << (63 - op->Shift)) >> (63 - op->Shift + op->Extra)
            : (x << (63 - op->Shift)) >> (63 - op->Shift) << (64 - op->Extra));
        return op + 1;
    }

    public static Op* Bfm32(VcpuCore core, CpuState* s, Op* op)
    {
        uint x = (uint)s->X[op->Rn];
        uint mask;
        uint bits;
        if (op->Shift >= op->Extra)
        {
            mask = uint.MaxValue >> (31 - op->Shift + op->Extra);
            bits = x >> op->Extra;
        }
        else
        {
            mask = (uint.MaxValue >> (31 - op->Shift)) << (32 - op->Extra);
            bits = x << (32 - op->Extra);
        }

        s->X[op->Rd] = ((uint)s->X[op->Rd] & ~mask) | (bits & mask);
        return op + 1;
    }

    public static Op* Bfm64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong x = s->X[op->Rn];
        ulong mask;
        ulong bits;
        if (op->Shift >= op->Extra)
        {
            mask = ulong.MaxValue >> (63 - op->Shift + op->Extra);
            bits = x >> op->Extra;
        }
        else
        {
            mask = (ulong.MaxValue >> (63 - op->Shift)) << (64 - op->Extra);
            bits = x << (64 - op->Extra);
        }

        s->X[op->Rd] = (s->X[op->Rd] & ~mask) | (bits & mask);
        return op + 1;
    }

    public static Op* Extr32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)((((s->X[op->Rn] << 32) | (uint)s->X[op->Rm])) >> op->Shift);
        return op + 1;
    }

    public static Op* Extr64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = op->Shift == 0 ? s->X[op->Rm] : (s->X[op->Rm] >> op->Shift) | (s->X[op->Rn] << (64 - op->Shift));
        return op + 1;
    }
}
