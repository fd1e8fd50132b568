using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>Instructions that move elements: copies, permutes, extraction, table look-up and reversal within containers.</summary>
internal static unsafe class SimdPermute
{
    /// <summary>DUP (element), vector and scalar.</summary>
    public static Op* DuplicateElement(VcpuCore core, CpuState* s, Op* op)
    {
        ulong value = ReadElement(s, op->Rn, op->Extra, (int)op->Imm);
        VectorAccess.Write(s, op->Rd, Replicate(value, op->Extra), op->Shift);
        return op + 1;
    }

    /// <summary>DUP (general).</summary>
    public static Op* DuplicateGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        VectorAccess.Write(s, op->Rd, Replicate(s->X[op->Rn], op->Extra), op->Shift);
        return op + 1;
    }

    /// <summary>INS (element).</summary>
    public static Op* InsertElement(VcpuCore core, CpuState* s, Op* op)
    {
        WriteElement(s, op->Rd, op->Extra, (int)op->Imm, ReadElement(s, op->Rn, op->Extra, op->Ra));
        return op + 1;
    }

    /// <summary>INS (general).</summary>
    public static Op* InsertGeneral(VcpuCore core, CpuState* s, Op* op)
    {
        WriteElement(s, op->Rd, op->Extra, (int)op->Imm, s->X[op->Rn]);
        return op + 1;
    }

    /// <summary>UMOV.</summary>
    public static Op* MoveUnsigned(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = ReadElement(s, op->Rn, op->Extra, (int)op->Imm);
        return op + 1;
    }

    /// <summary>SMOV to a W register.</summary>
    public static Op* MoveSigned32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (uint)ReadSigned(s, op);
        return op + 1;
    }

    /// <summary>SMOV to an X register.</summary>
    public static Op* MoveSigned64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)ReadSigned(s, op);
        return op + 1;
    }

    /// <summary>EXT: bytes from the pair Rm:Rn.</summary>
    public static Op* Extract(VcpuCore core, CpuState* s, Op* op)
    {
        int bytes = op->Shift;
        byte* pair = stackalloc byte[32];
        *(Vector128<byte>*)pair = VectorAccess.Read<byte>(s, op->Rn);
        *(Vector128<byte>*)(pair + bytes) = VectorAccess.Read<byte>(s, op->Rm);
        VectorAccess.Write(s, op->Rd, *(Vector128<byte>*)(pair + op->Imm), bytes);
        return op + 1;
    }

    /// <summary>TBL: indexes beyond the table give zero.</summary>
    public static Op* TableLookup(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<byte> result = default;
        Look(s, op, (byte*)&result);
        VectorAccess.Write(s, op->Rd, result);
        return op + 1;
    }

    /// <summary>TBX: indexes beyond the table leave the destination's byte.</summary>
    public static Op* TableExtension(VcpuCore core, CpuState* s, Op* op)
    {
        Vector128<byte> result = VectorAccess.Read<byte>(s, op->Rd);
        Look(s, op, (byte*)&result);
        VectorAccess.Write(s, op->Rd, result, op->Shift);
        return op + 1;
    }

    /// <summary>ZIP1, ZIP2, UZP1, UZP2, TRN1, TRN2.</summary>
    public static Op* Permute<TPermutation>(VcpuCore core, CpuState* s, Op* op)
        where TPermutation : struct, IPermutation
    {
        switch (op->Extra)
        {
            case 0: Permute<TPermutation, byte>(s, op); break;
            case 1: Permute<TPermutation, ushort>(s, op); break;
            case 2: Permute<TPermutation, uint>(s, op); break;
            default: Permute<TPermutation, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>REV64: elements of 1, 2 or 4 bytes in the reverse order within each doubleword.</summary>
    public static Op* Reverse64(VcpuCore core, CpuState* s, Op* op) => Reverse(s, op, 8);

    /// <summary>REV32.</summary>
    public static Op* Reverse32(VcpuCore core, CpuState* s, Op* op) => Reverse(s, op, 4);

    /// <summary>REV16.</summary>
    public static Op* Reverse16(VcpuCore core, CpuState* s, Op* op) => Reverse(s, op, 2);

    private static Op* Reverse(CpuState* s, Op* op, int containerBytes)
    {
        // The element whose index differs in all bits that count elements of a container.
        int flip = (containerBytes >> op->Extra) - 1;
        Vector128<byte> result = default;
        byte* r = (byte*)&result;
        byte* n = VectorAccess.Lanes<byte>(s, op->Rn);
        int within = (1 << op->Extra) - 1;
        for (int i = 0; i < op->Shift; i++)
        {
            r[i] = n[(((i >> op->Extra) ^ flip) << op->Extra) | (i & within)];
        }

        VectorAccess.Write(s, op->Rd, result);
        return op + 1;
    }

    private static void Permute<TPermutation, T>(CpuState* s, Op* op)
        where TPermutation : struct, IPermutation
        where T : unmanaged
    {
        Vector128<T> result = default;
        T* r = (T*)&result;
        T* n = VectorAccess.Lanes<T>(s, op->Rn);
        T* m = VectorAccess.Lanes<T>(s, op->Rm);
        int count = op->Shift / sizeof(T);
        for (int i = 0; i < count; i++)
        {
            int index = TPermutation.Source(i, count);
            r[i] = index < count ? n[index] : m[index - count];
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    private static void Look(CpuState* s, Op* op, byte* result)
    {
        byte* table = stackalloc byte[64];
        int size = (int)op->Imm;
        for (int i = 0; i < size; i += 16)
        {
            *(Vector128<byte>*)(table + i) = VectorAccess.Read<byte>(s, (op->Rn + (i >> 4)) & 31);
        }

        byte* m = VectorAccess.Lanes<byte>(s, op->Rm);
        for (int i = 0; i < op->Shift; i++)
        {
            if (m[i] < size)
            {
                result[i] = table[m[i]];
            }
        }
    }

    private static Vector128<ulong> Replicate(ulong value, int log2Size) => log2Size switch
    {
        0 => Vector128.Create((byte)value).AsUInt64(),
        1 => Vector128.Create((ushort)value).AsUInt64(),
        2 => Vector128.Create((uint)value).AsUInt64(),
        _ => Vector128.Create(value),
    };

    private static ulong ReadElement(CpuState* s, int register, int log2Size, int index) => log2Size switch
    {
        0 => VectorAccess.Lanes<byte>(s, register)[index],
        1 => VectorAccess.Lanes<ushort>(s, register)[index],
        2 => VectorAccess.Lanes<uint>(s, register)[index],
        _ => VectorAccess.Lanes<ulong>(s, register)[index],
    };

    private static long ReadSigned(CpuState* s, Op* op) => op->Extra switch
    {
        0 => VectorAccess.Lanes<sbyte>(s, op->Rn)[op->Imm],
        1 => VectorAccess.Lanes<short>(s, op->Rn)[op->Imm],
        _ => VectorAccess.Lanes<int>(s, op->Rn)[op->Imm],
    };

    private static void WriteElement(CpuState* s, int register, int log2Size, int index, ulong value)
    {
        switch (log2Size)
        {
            case 0: VectorAccess.Lanes<byte>(s, register)[index] = (byte)value; break;
            case 1: VectorAccess.Lanes<ushort>(s, register)[index] = (ushort)value; break;
            case 2: VectorAccess.Lanes<uint>(s, register)[index] = (uint)value; break;
            default: VectorAccess.Lanes<ulong>(s, register)[index] = value; break;
        }
    }
}

/// <summary>
/// The index of the source for element <c>i</c> of a permute of two vectors of <c>count</c> elements; Rm's elements follow those of Rn.
/// </summary>
internal interface IPermutation
{
    static abstract int Source(int i, int count);
}

internal readonly struct Zip1 : IPermutation
{
    public static int Source(int i, int count) => (i >> 1) + ((i & 1) * count);
}

internal readonly struct Zip2 : IPermutation
{
    public static int Source(int i, int count) => (count >> 1) + (i >> 1) + ((i & 1) * count);
}

internal readonly struct Unzip1 : IPermutation
{
    public static int Source(int i, int count) => 2 * i;
}

internal readonly struct Unzip2 : IPermutation
{
    public static int Source(int i, int count) => (2 * i) + 1;
}

internal readonly struct Transpose1 : IPermutation
{
    public static int Source(int i, int count) => (i & ~1) + ((i & 1) * count);
}

internal readonly struct Transpose2 : IPermutation
{
    public static int Source(int i, int count) => (i | 1) + ((i & 1) * count);
}
