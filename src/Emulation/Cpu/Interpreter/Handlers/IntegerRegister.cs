using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Data processing with register operands.</summary>
internal static unsafe class IntegerRegister
{
    /// <summary>Rd = Rn op Rm.</summary>
    public static Op* Plain64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do64(s, s->X[op->Rn], s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Plain32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do32(s, (uint)s->X[op->Rn], (uint)s->X[op->Rm]);
        return op + 1;
    }

    /// <summary>Rd = Rn op (Rm shifted by Shift as Extra says: LSL, LSR, ASR, ROR).</summary>
    public static Op* Shifted64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        ulong b = s->X[op->Rm];
        b = op->Extra switch
        {
            0 => b << op->Shift,
            1 => b >> op->Shift,
            2 => (ulong)((long)b >> op->Shift),
            _ => BitOperations.RotateRight(b, op->Shift),
        };
        s->X[op->Rd] = T.Do64(s, s->X[op->Rn], b);
        return op + 1;
    }

    public static Op* Shifted32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        uint b = (uint)s->X[op->Rm];
        b = op->Extra switch
        {
            0 => b << op->Shift,
            1 => b >> op->Shift,
            2 => (uint)((int)b >> op->Shift),
            _ => BitOperations.RotateRight(b, op->Shift),
        };
        s->X[op->Rd] = T.Do32(s, (uint)s->X[op->Rn], b);
        return op + 1;
    }

    public static Op* Extended64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do64(s, s->X[op->Rn], Extend(s->X[op->Rm], op->Extra) << op->Shift);
        return op + 1;
    }

    public static Op* Extended32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do32(s, (uint)s->X[op->Rn], (uint)(Extend(s->X[op->Rm], op->Extra) << op->Shift));
        return op + 1;
    }

    /// <summary>ExtendReg of the Arm ARM: UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Extend(ulong value, int option) => option switch
    {
        0 => (byte)value,
        1 => (ushort)value,
        2 => (uint)value,
        4 => (ulong)(sbyte)value,
        5 => (ulong)(short)value,
        6 => (ulong)(int)value,
        _ => value,
    };

    public static Op* CcmpRegister64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation => Compare64<T>(s, op, s->X[op->Rm]);

    public static Op* CcmpImmediate64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation => Compare64<T>(s, op, op->Imm);

    public static Op* CcmpRegister32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation => Compare32<T>(s, op, (uint)s->X[op->Rm]);

    public static Op* CcmpImmediate32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation => Compare32<T>(s, op, (uint)op->Imm);

    private static Op* Compare64<T>(CpuState* s, Op* op, ulong b)
        where T : struct, IBinaryOperation
    {
        if (Pstate.Holds(op->Shift, s->Nzcv))
        {
            _ = T.Do64(s, s->X[op->Rn], b);
        }
        else
        {
            s->Nzcv = (uint)op->Extra << 28;
        }

        return op + 1;
    }

    private static Op* Compare32<T>(CpuState* s, Op* op, uint b)
        where T : struct, IBinaryOperation
    {
        if (Pstate.Holds(op->Shift, s->Nzcv))
        {
            _ = T.Do32(s, (uint)s->X[op->Rn], b);
        }
        else
        {
            s->Nzcv = (uint)op->Extra << 28;
        }

        return op + 1;
    }

    public static Op* Csel64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : s->X[op->Rm];
        return op + 1;
    }

    public static Op* Csel32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Csinc64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : s->X[op->Rm] + 1;
        return op + 1;
    }

    public static Op* Csinc32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : s->X[op->Rm] + 1);
        return op + 1;
    }

    public static Op* Csinv64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : ~s->X[op->Rm];
        return op + 1;
    }

    public static Op* Csinv32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : ~s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Csneg64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : 0 - s->X[op->Rm];
        return op + 1;
    }

    public static Op* Csneg32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)(Pstate.Holds(op->Shift, s->Nzcv) ? s->X[op->Rn] : 0 - s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Madd64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] + (s->X[op->Rn] * s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Madd32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)s->X[op->Ra] + ((uint)s->X[op->Rn] * (uint)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Msub64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] - (s->X[op->Rn] * s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Msub32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)s->X[op->Ra] - ((uint)s->X[op->Rn] * (uint)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Smaddl(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] + (ulong)((long)(int)s->X[op->Rn] * (int)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Smsubl(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] - (ulong)((long)(int)s->X[op->Rn] * (int)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Umaddl(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] + ((ulong)(uint)s->X[op->Rn] * (uint)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Umsubl(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Ra] - ((ulong)(uint)s->X[op->Rn] * (uint)s->X[op->Rm]);
        return op + 1;
    }

    public static Op* Smulh(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)Math.BigMul((long)s->X[op->Rn], (long)s->X[op->Rm], out _);
        return op + 1;
    }

    public static Op* Umulh(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = Math.BigMul(s->X[op->Rn], s->X[op->Rm], out _);
        return op + 1;
    }

    public static Op* Rbit64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = ReverseBits(s->X[op->Rn]);
        return op + 1;
    }

    public static Op* Rbit32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = ReverseBits(s->X[op->Rn]) >> 32;
        return op + 1;
    }

    private static ulong ReverseBits(ulong x)
    {
        x = ((x >> 1) & 0x5555_5555_5555_5555) | ((x & 0x5555_5555_5555_5555) << 1);
        x = ((x >> 2) & 0x3333_3333_3333_3333) | ((x & 0x3333_3333_3333_3333) << 2);
        x = ((x >> 4) & 0x0F0F_0F0F_0F0F_0F0F) | ((x & 0x0F0F_0F0F_0F0F_0F0F) << 4);
        return BinaryPrimitives.ReverseEndianness(x);
    }

    public static Op* Rev16(VcpuCore core, CpuState* s, Op* op)
    {
        ulong x = s->X[op->Rn];
        s->X[op->Rd] = ((x & 0x00FF_00FF_00FF_00FF) << 8) | ((x >> 8) & 0x00FF_00FF_00FF_00FF);
        return op + 1;
    }

    public static Op* Rev16Word(VcpuCore core, CpuState* s, Op* op)
    {
        uint x = (uint)s->X[op->Rn];
        s->X[op->Rd] = ((x & 0x00FF_00FFu) << 8) | ((x >> 8) & 0x00FF_00FFu);
        return op + 1;
    }

    public static Op* Rev32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = BitOperations.RotateRight(BinaryPrimitives.ReverseEndianness(s->X[op->Rn]), 32);
        return op + 1;
    }

    public static Op* RevWord(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = BinaryPrimitives.ReverseEndianness((uint)s->X[op->Rn]);
        return op + 1;
    }

    public static Op* Rev64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = BinaryPrimitives.ReverseEndianness(s->X[op->Rn]);
        return op + 1;
    }

    public static Op* Clz64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)BitOperations.LeadingZeroCount(s->X[op->Rn]);
        return op + 1;
    }

    public static Op* Clz32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)BitOperations.LeadingZeroCount((uint)s->X[op->Rn]);
        return op + 1;
    }

    public static Op* Cls64(VcpuCore core, CpuState* s, Op* op)
    {
        long x = (long)s->X[op->Rn];
        s->X[op->Rd] = (ulong)BitOperations.LeadingZeroCount((ulong)(x ^ (x << 1)) | 1);
        return op + 1;
    }

    public static Op* Cls32(VcpuCore core, CpuState* s, Op* op)
    {
        int x = (int)s->X[op->Rn];
        s->X[op->Rd] = (uint)BitOperations.LeadingZeroCount((uint)(x ^ (x << 1)) | 1);
        return op + 1;
    }

    // CRC32: reflected polynomials 0x04C11DB7 and 0x1EDC6F41 (CRC32C).
    private static readonly uint[] CrcTable = BuildCrcTable(0xEDB8_8320);
    private static readonly uint[] CrcCastagnoliTable = BuildCrcTable(0x82F6_3B78);

    private static uint[] BuildCrcTable(uint polynomial)
    {
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            uint crc = i;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
            }

            table[i] = crc;
        }

        return table;
    }

    /// <summary>CRC32B/H/W/X and CRC32CB/CH/CW/CX: bits 11:10 give the size, bit 12 the polynomial.</summary>
    public static Op* Crc32(VcpuCore core, CpuState* s, Op* op)
    {
        uint[] table = (op->Word & (1 << 12)) != 0 ? CrcCastagnoliTable : CrcTable;
        uint crc = (uint)s->X[op->Rn];
        ulong data = s->X[op->Rm];
        for (int bytes = 1 << (int)((op->Word >> 10) & 3); bytes > 0; bytes--)
        {
            crc = table[(byte)(crc ^ data)] ^ (crc >> 8);
            data >>= 8;
        }

        s->X[op->Rd] = crc;
        return op + 1;
    }
}
