using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>FEAT_FlagM and FEAT_FlagM2: NZCV from itself or from a register (Arm ARM C6.2).</summary>
internal static unsafe class FlagManipulation
{
    /// <summary>XAFLAG, four bits for each NZCV: N = not C and not Z, Z = Z and C, C = C or Z, V = Z and not C.</summary>
    public const ulong FromExternalTable = 0x6633_2288_6633_2288;

    /// <summary>AXFLAG, four bits for each NZCV: N = 0, Z = Z or V, C = C and not V, V = 0.</summary>
    public const ulong ToExternalTable = 0x4644_4240_4644_4240;

    public static Op* InvertCarry(VcpuCore core, CpuState* s, Op* op)
    {
        s->Nzcv ^= Pstate.C;
        return op + 1;
    }

    public static Op* FromExternal(VcpuCore core, CpuState* s, Op* op) => LookUp(s, op, FromExternalTable);

    public static Op* ToExternal(VcpuCore core, CpuState* s, Op* op) => LookUp(s, op, ToExternalTable);

    private static Op* LookUp(CpuState* s, Op* op, ulong table)
    {
        s->Nzcv = (uint)(table >> (int)(4 * (s->Nzcv >> 28))) << 28;
        return op + 1;
    }

    /// <summary>RMIF: bits of Rn, rotated right by Shift, where Extra has ones.</summary>
    public static Op* RotateMaskInsert(VcpuCore core, CpuState* s, Op* op)
    {
        uint mask = (uint)op->Extra << 28;
        s->Nzcv = (s->Nzcv & ~mask) | (((uint)BitOperations.RotateRight(s->X[op->Rn], op->Shift) << 28) & mask);
        return op + 1;
    }

    public static Op* Evaluate8(VcpuCore core, CpuState* s, Op* op) => Evaluate(s, op, 8);

    public static Op* Evaluate16(VcpuCore core, CpuState* s, Op* op) => Evaluate(s, op, 16);

    // N and Z of the low bits, V where the bit above differs from their sign. C stays.
    private static Op* Evaluate(CpuState* s, Op* op, int width)
    {
        uint value = (uint)s->X[op->Rn];
        uint low = value << (32 - width);
        s->Nzcv = (s->Nzcv & Pstate.C) | Flags.Logical32(low) | ((((value >> 1) ^ value) >> (width - 1) & 1) << 28);
        return op + 1;
    }
}
