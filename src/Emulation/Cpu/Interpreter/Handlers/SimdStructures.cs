using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// LD1–LD4 and ST1–ST4 of whole structures, of one lane, and replicated. Elements are accessed one by one in ascending order, so
/// that alignment and faults are those of the element. Operand fields: Rd = Vt, Rn = base, Extra = log2 of the element bytes,
/// Ra = registers of a structure, Shift = bytes of a register, Imm = what post-index adds (all ones: register Rm), or 0.
/// </summary>
internal static unsafe class SimdStructures
{
    private const int Registers = 32;

    /// <summary>LD1–LD4 (multiple structures).</summary>
    public static Op* LoadMultiple<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Misaligned(core, s, op))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = s->X[op->Rn];
        int structure = Structure(op);
        int count = op->Ra;
        int lanes = op->Shift / sizeof(T);
        Vector128<byte>* values = stackalloc Vector128<byte>[4];
        for (int i = 0; i < 4; i++)
        {
            values[i] = default;
        }

        // Registers that are not interleaved are one structure of a single element each after the other.
        for (int first = 0; first < count; first += structure)
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                for (int i = 0; i < structure; i++, va += (ulong)sizeof(T))
                {
                    if (!MemoryAccess.Load(core, s, op, va, out ((T*)&values[first + i])[lane]))
                    {
                        return core.Resume(op);
                    }
                }
            }
        }

        for (int i = 0; i < count; i++)
        {
            VectorAccess.Write(s, (op->Rd + i) % Registers, values[i]);
        }

        WriteBack(s, op);
        return op + 1;
    }

    /// <summary>ST1–ST4 (multiple structures).</summary>
    public static Op* StoreMultiple<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Misaligned(core, s, op))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = s->X[op->Rn];
        int structure = Structure(op);
        int lanes = op->Shift / sizeof(T);
        for (int first = 0; first < op->Ra; first += structure)
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                for (int i = 0; i < structure; i++, va += (ulong)sizeof(T))
                {
                    if (!MemoryAccess.Store(core, s, op, va, VectorAccess.Lanes<T>(s, (op->Rd + first + i) % Registers)[lane]))
                    {
                        return core.Resume(op);
                    }
                }
            }
        }

        WriteBack(s, op);
        return op + 1;
    }

    /// <summary>LD1–LD4 (single structure): one lane, whose index is in <see cref="Op.Shift"/>.</summary>
    public static Op* LoadLane<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Misaligned(core, s, op))
        {
            return core.TakeStackAlignment(op);
        }

        T* values = stackalloc T[4];
        if (!LoadStructure(core, s, op, values))
        {
            return core.Resume(op);
        }

        for (int i = 0; i < op->Ra; i++)
        {
            VectorAccess.Lanes<T>(s, (op->Rd + i) % Registers)[op->Shift] = values[i];
        }

        WriteBack(s, op);
        return op + 1;
    }

    /// <summary>ST1–ST4 (single structure).</summary>
    public static Op* StoreLane<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Misaligned(core, s, op))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = s->X[op->Rn];
        for (int i = 0; i < op->Ra; i++, va += (ulong)sizeof(T))
        {
            if (!MemoryAccess.Store(core, s, op, va, VectorAccess.Lanes<T>(s, (op->Rd + i) % Registers)[op->Shift]))
            {
                return core.Resume(op);
            }
        }

        WriteBack(s, op);
        return op + 1;
    }

    /// <summary>LD1R–LD4R.</summary>
    public static Op* LoadReplicate<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (Misaligned(core, s, op))
        {
            return core.TakeStackAlignment(op);
        }

        T* values = stackalloc T[4];
        if (!LoadStructure(core, s, op, values))
        {
            return core.Resume(op);
        }

        for (int i = 0; i < op->Ra; i++)
        {
            VectorAccess.Write(s, (op->Rd + i) % Registers, Vector128.Create(values[i]), op->Shift);
        }

        WriteBack(s, op);
        return op + 1;
    }

    private static bool LoadStructure<T>(VcpuCore core, CpuState* s, Op* op, T* values)
        where T : unmanaged
    {
        ulong va = s->X[op->Rn];
        for (int i = 0; i < op->Ra; i++, va += (ulong)sizeof(T))
        {
            if (!MemoryAccess.Load(core, s, op, va, out values[i]))
            {
                return false;
            }
        }

        return true;
    }

    // LD1 and ST1 of several registers do not interleave: their opcode's low bits are x1x.
    private static int Structure(Op* op) => (op->Word & (1u << 13)) != 0 ? 1 : op->Ra;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Misaligned(VcpuCore core, CpuState* s, Op* op) => LoadStore.StackMisaligned(core, op, s->X[op->Rn]);

    private static void WriteBack(CpuState* s, Op* op)
    {
        if (op->Imm != 0)
        {
            s->X[op->Rn] += op->Imm == ulong.MaxValue ? s->X[op->Rm] : op->Imm;
        }
    }
}
