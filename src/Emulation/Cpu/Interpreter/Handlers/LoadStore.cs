using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>How a load or store makes its address from the base register, and what it writes back.</summary>
internal unsafe interface IAddressing
{
    static abstract ulong Address(CpuState* s, Op* op, ulong origin);

    static abstract void WriteBack(CpuState* s, Op* op, ulong address);
}

internal readonly unsafe struct Offset : IAddressing
{
    public static ulong Address(CpuState* s, Op* op, ulong origin) => origin + op->Imm;

    public static void WriteBack(CpuState* s, Op* op, ulong address)
    {
    }
}

internal readonly unsafe struct PreIndex : IAddressing
{
    public static ulong Address(CpuState* s, Op* op, ulong origin) => origin + op->Imm;

    public static void WriteBack(CpuState* s, Op* op, ulong address) => s->X[op->Rn] = address;
}

internal readonly unsafe struct PostIndex : IAddressing
{
    public static ulong Address(CpuState* s, Op* op, ulong origin) => origin;

    public static void WriteBack(CpuState* s, Op* op, ulong address) => s->X[op->Rn] = address + op->Imm;
}

internal readonly unsafe struct RegisterOffset : IAddressing
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Address(CpuState* s, Op* op, ulong origin) =>
        origin + (IntegerRegister.Extend(s->X[op->Rm], op->Extra) << op->Shift);

    public static void WriteBack(CpuState* s, Op* op, ulong address)
    {
    }
}

/// <summary>A load into a general register: what is read, and how it is extended.</summary>
internal unsafe interface ILoad
{
    static abstract bool Load(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value);

    static abstract bool LoadUnprivileged(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value);

    /// <summary>Bytes that are read.</summary>
    static abstract int Size { get; }
}

/// <summary>Zero-extended.</summary>
internal readonly unsafe struct Unsigned<T> : ILoad
    where T : unmanaged
{
    public static int Size => sizeof(T);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = MemoryAccess.Load(core, s, op, va, out T t);
        value = Widen.ZeroExtend(t);
        return ok;
    }

    public static bool LoadUnprivileged(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = MemoryAccess.LoadUnprivileged(core, s, op, va, out T t);
        value = Widen.ZeroExtend(t);
        return ok;
    }
}

/// <summary>Sign-extended to 64 bits.</summary>
internal readonly unsafe struct Signed64<T> : ILoad
    where T : unmanaged
{
    public static int Size => sizeof(T);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = MemoryAccess.Load(core, s, op, va, out T t);
        value = Widen.SignExtend(t);
        return ok;
    }

    public static bool LoadUnprivileged(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = MemoryAccess.LoadUnprivileged(core, s, op, va, out T t);
        value = Widen.SignExtend(t);
        return ok;
    }
}

/// <summary>Sign-extended to 32 bits; the upper half is zero.</summary>
internal readonly unsafe struct Signed32<T> : ILoad
    where T : unmanaged
{
    public static int Size => sizeof(T);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = Signed64<T>.Load(core, s, op, va, out value);
        value = (uint)value;
        return ok;
    }

    public static bool LoadUnprivileged(VcpuCore core, CpuState* s, Op* op, ulong va, out ulong value)
    {
        bool ok = Signed64<T>.LoadUnprivileged(core, s, op, va, out value);
        value = (uint)value;
        return ok;
    }
}

internal static unsafe class Widen
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ZeroExtend<T>(T value)
        where T : unmanaged => sizeof(T) switch
        {
            1 => *(byte*)&value,
            2 => *(ushort*)&value,
            4 => *(uint*)&value,
            _ => *(ulong*)&value,
        };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong SignExtend<T>(T value)
        where T : unmanaged => sizeof(T) switch
        {
            1 => (ulong)*(sbyte*)&value,
            2 => (ulong)*(short*)&value,
            4 => (ulong)*(int*)&value,
            _ => *(ulong*)&value,
        };

    /// <summary>The low bytes of a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Narrow<T>(ulong value)
        where T : unmanaged => *(T*)&value;
}

/// <summary>Loads and stores of general registers.</summary>
internal static unsafe class LoadStore
{
    /// <summary>SCTLR_EL1.SA and SA0: a stack pointer used as a base must be 16-byte aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool StackMisaligned(VcpuCore core, Op* op, ulong origin) =>
        (origin & 15) != 0 && op->Rn == CpuState.Sp && core.StackAlignmentChecked;

    public static Op* Load<TMode, TLoad>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!TLoad.Load(core, s, op, va, out ulong value))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = value;
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* Store<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Store(core, s, op, va, Widen.Narrow<T>(s->X[op->Rd])))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* LoadUnprivileged<TLoad>(VcpuCore core, CpuState* s, Op* op)
        where TLoad : struct, ILoad
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        if (!TLoad.LoadUnprivileged(core, s, op, origin + op->Imm, out ulong value))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = value;
        return op + 1;
    }

    public static Op* StoreUnprivileged<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        return MemoryAccess.StoreUnprivileged(core, s, op, origin + op->Imm, Widen.Narrow<T>(s->X[op->Rd])) ? op + 1 : core.Resume(op);
    }

    /// <summary>LDR (literal): Imm is the displacement from the PC.</summary>
    public static Op* LoadLiteral<TLoad>(VcpuCore core, CpuState* s, Op* op)
        where TLoad : struct, ILoad
    {
        if (!TLoad.Load(core, s, op, s->CodePageVa + op->Offset + op->Imm, out ulong value))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = value;
        return op + 1;
    }

    public static Op* LoadPair<TMode, TLoad>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!TLoad.Load(core, s, op, va, out ulong first) || !TLoad.Load(core, s, op, va + (ulong)TLoad.Size, out ulong second))
        {
            return core.Resume(op);
        }

        s->X[op->Rd] = first;
        s->X[op->Ra] = second;
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* StorePair<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Store(core, s, op, va, Widen.Narrow<T>(s->X[op->Rd]))
            || !MemoryAccess.Store(core, s, op, va + (ulong)sizeof(T), Widen.Narrow<T>(s->X[op->Ra])))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    /// <summary>PRFM and hints: nothing to do.</summary>
    public static Op* Nothing(VcpuCore core, CpuState* s, Op* op) => op + 1;
}
