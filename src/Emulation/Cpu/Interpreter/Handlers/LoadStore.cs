using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vmm.Emulation.Cpu.SystemRegisters;

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

/// <summary>The base register alone.</summary>
internal readonly unsafe struct NoOffset : IAddressing
{
    public static ulong Address(CpuState* s, Op* op, ulong origin) => origin;

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

/// <summary>How a load puts what it has read into a register.</summary>
internal unsafe interface ILoad<T>
    where T : unmanaged
{
    static abstract void Set(CpuState* s, int register, T value);
}

/// <summary>Into a general register, zero-extended.</summary>
internal readonly unsafe struct Unsigned<T> : ILoad<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* s, int register, T value) => s->X[register] = Widen.ZeroExtend(value);
}

/// <summary>Into a general register, sign-extended to 64 bits.</summary>
internal readonly unsafe struct Signed64<T> : ILoad<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* s, int register, T value) => s->X[register] = Widen.SignExtend(value);
}

/// <summary>Into a general register, sign-extended to 32 bits; the upper half is zero.</summary>
internal readonly unsafe struct Signed32<T> : ILoad<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* s, int register, T value) => s->X[register] = (uint)Widen.SignExtend(value);
}

/// <summary>Into the low bytes of a SIMD&amp;FP register; the rest is zero.</summary>
internal readonly unsafe struct Simd<T> : ILoad<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* s, int register, T value)
    {
        ulong* v = &s->V[register * 2];
        v[0] = 0;
        v[1] = 0;
        *(T*)v = value;
    }
}

/// <summary>Into the upper half of a SIMD&amp;FP register, or the lower; the other half stays.</summary>
internal readonly unsafe struct SimdHalf<TUpper> : ILoad<ulong>, IRegisters
    where TUpper : struct, IUpperHalf
{
    public static void Set(CpuState* s, int register, ulong value) => *Place(s, register) = value;

    public static T Get<T>(CpuState* s, int register)
        where T : unmanaged => *(T*)Place(s, register);

    private static ulong* Place(CpuState* s, int register) => &s->V[(register * 2) + (TUpper.IsUpper ? 1 : 0)];
}

internal interface IUpperHalf
{
    static abstract bool IsUpper { get; }
}

internal readonly struct UpperHalf : IUpperHalf
{
    public static bool IsUpper => true;
}

internal readonly struct LowerHalf : IUpperHalf
{
    public static bool IsUpper => false;
}

/// <summary>The registers that a store takes low bytes of.</summary>
internal unsafe interface IRegisters
{
    static abstract T Get<T>(CpuState* s, int register)
        where T : unmanaged;
}

internal readonly unsafe struct GeneralRegisters : IRegisters
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(CpuState* s, int register)
        where T : unmanaged => Widen.Narrow<T>(s->X[register]);
}

internal readonly unsafe struct SimdRegisters : IRegisters
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get<T>(CpuState* s, int register)
        where T : unmanaged => *(T*)&s->V[register * 2];
}

/// <summary>How memory is accessed: see the methods of <see cref="MemoryAccess"/>.</summary>
internal unsafe interface IAccess
{
    static abstract bool Load<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged;

    static abstract bool Store<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged;
}

internal readonly unsafe struct PlainAccess : IAccess
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged => MemoryAccess.Load(core, s, op, va, out value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged => MemoryAccess.Store(core, s, op, va, value);
}

/// <summary>LDTR, STTR.</summary>
internal readonly unsafe struct UnprivilegedAccess : IAccess
{
    public static bool Load<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged => MemoryAccess.LoadUnprivileged(core, s, op, va, out value);

    public static bool Store<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged => MemoryAccess.StoreUnprivileged(core, s, op, va, value);
}

/// <summary>LDAR, LDAPR, STLR, LDAPUR, STLUR, and those of FEAT_LRCPC3.</summary>
internal readonly unsafe struct OrderedAccess : IAccess
{
    public static bool Load<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged => MemoryAccess.LoadAcquire(core, s, op, va, out value);

    public static bool Store<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged => MemoryAccess.StoreRelease(core, s, op, va, value);
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

/// <summary>Loads and stores of one register or a pair, of either register file.</summary>
internal static unsafe class LoadStore
{
    /// <summary>SCTLR_EL1.SA and SA0: a stack pointer used as a base must be 16-byte aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool StackMisaligned(VcpuCore core, Op* op, ulong origin) =>
        (origin & 15) != 0 && op->Rn == CpuState.Sp && core.StackAlignmentChecked;

    public static Op* Load<TMode, TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad<T>
        where T : unmanaged => LoadBy<PlainAccess, TMode, TLoad, T>(core, s, op);

    public static Op* Store<TMode, TRegisters, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TRegisters : struct, IRegisters
        where T : unmanaged => StoreBy<PlainAccess, TMode, TRegisters, T>(core, s, op);

    public static Op* LoadUnprivileged<TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TLoad : struct, ILoad<T>
        where T : unmanaged => LoadBy<UnprivilegedAccess, Offset, TLoad, T>(core, s, op);

    public static Op* StoreUnprivileged<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged => StoreBy<UnprivilegedAccess, Offset, GeneralRegisters, T>(core, s, op);

    public static Op* LoadAcquire<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged => LoadBy<OrderedAccess, NoOffset, Unsigned<T>, T>(core, s, op);

    public static Op* StoreRelease<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged => StoreBy<OrderedAccess, NoOffset, GeneralRegisters, T>(core, s, op);

    /// <summary>LDAPUR, and of FEAT_LRCPC3 LDAPR (post-index) and LDAP1.</summary>
    public static Op* LoadAcquire<TMode, TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad<T>
        where T : unmanaged => LoadBy<OrderedAccess, TMode, TLoad, T>(core, s, op);

    /// <summary>STLUR, and of FEAT_LRCPC3 STLR (pre-index) and STL1.</summary>
    public static Op* StoreRelease<TMode, TRegisters, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TRegisters : struct, IRegisters
        where T : unmanaged => StoreBy<OrderedAccess, TMode, TRegisters, T>(core, s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* LoadBy<TAccess, TMode, TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TAccess : struct, IAccess
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad<T>
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!TAccess.Load(core, s, op, va, out T value))
        {
            return core.Resume(op);
        }

        TLoad.Set(s, op->Rd, value);
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* StoreBy<TAccess, TMode, TRegisters, T>(VcpuCore core, CpuState* s, Op* op)
        where TAccess : struct, IAccess
        where TMode : struct, IAddressing
        where TRegisters : struct, IRegisters
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!TAccess.Store(core, s, op, va, TRegisters.Get<T>(s, op->Rd)))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    /// <summary>LDR (literal): Imm is the displacement from the PC.</summary>
    public static Op* LoadLiteral<TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TLoad : struct, ILoad<T>
        where T : unmanaged
    {
        if (!MemoryAccess.Load(core, s, op, s->CodePageVa + op->Offset + op->Imm, out T value))
        {
            return core.Resume(op);
        }

        TLoad.Set(s, op->Rd, value);
        return op + 1;
    }

    public static Op* LoadPair<TMode, TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad<T>
        where T : unmanaged => LoadPairBy<PlainAccess, TMode, TLoad, T>(core, s, op);

    public static Op* StorePair<TMode, TRegisters, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where TRegisters : struct, IRegisters
        where T : unmanaged => StorePairBy<PlainAccess, TMode, TRegisters, T>(core, s, op);

    /// <summary>LDIAPP.</summary>
    public static Op* LoadAcquirePair<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged => LoadPairBy<OrderedAccess, TMode, Unsigned<T>, T>(core, s, op);

    /// <summary>STILP.</summary>
    public static Op* StoreReleasePair<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged => StorePairBy<OrderedAccess, TMode, GeneralRegisters, T>(core, s, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* LoadPairBy<TAccess, TMode, TLoad, T>(VcpuCore core, CpuState* s, Op* op)
        where TAccess : struct, IAccess
        where TMode : struct, IAddressing
        where TLoad : struct, ILoad<T>
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!LoadBoth<TAccess, T>(core, s, op, va, out T first, out T second))
        {
            return core.Resume(op);
        }

        TLoad.Set(s, op->Rd, first);
        TLoad.Set(s, op->Ra, second);
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* StorePairBy<TAccess, TMode, TRegisters, T>(VcpuCore core, CpuState* s, Op* op)
        where TAccess : struct, IAccess
        where TMode : struct, IAddressing
        where TRegisters : struct, IRegisters
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!StoreBoth<TAccess, T>(core, s, op, va, TRegisters.Get<T>(s, op->Rd), TRegisters.Get<T>(s, op->Ra)))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    // Two elements, at once where they are aligned together, as FEAT_LSE2 wants it of two general registers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool LoadBoth<TAccess, T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T first, out T second)
        where TAccess : struct, IAccess
        where T : unmanaged
    {
        if (!AreAtOnce<T>(s, va))
        {
            second = default;
            return TAccess.Load(core, s, op, va, out first) && TAccess.Load(core, s, op, va + (ulong)sizeof(T), out second);
        }

        bool done;
        if (sizeof(T) == sizeof(ulong))
        {
            done = TAccess.Load(core, s, op, va, out Vector128<ulong> both);
            (first, second) = (Unsafe.BitCast<ulong, T>(both[0]), Unsafe.BitCast<ulong, T>(both[1]));
        }
        else
        {
            done = TAccess.Load(core, s, op, va, out ulong both);
            (first, second) = (Unsafe.BitCast<uint, T>((uint)both), Unsafe.BitCast<uint, T>((uint)(both >> 32)));
        }

        return done;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool StoreBoth<TAccess, T>(VcpuCore core, CpuState* s, Op* op, ulong va, T first, T second)
        where TAccess : struct, IAccess
        where T : unmanaged => !AreAtOnce<T>(s, va)
        ? TAccess.Store(core, s, op, va, first) && TAccess.Store(core, s, op, va + (ulong)sizeof(T), second)
        : sizeof(T) == sizeof(ulong)
        ? TAccess.Store(core, s, op, va, Vector128.Create(Unsafe.BitCast<T, ulong>(first), Unsafe.BitCast<T, ulong>(second)))
        : TAccess.Store(core, s, op, va, Unsafe.BitCast<T, uint>(first) | ((ulong)Unsafe.BitCast<T, uint>(second) << 32));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AreAtOnce<T>(CpuState* s, ulong va)
        where T : unmanaged => sizeof(T) <= sizeof(ulong) && (va & (ulong)((2 * sizeof(T)) - 1)) == 0
        && (s->SctlrEl1 & (Sctlr.E0e | Sctlr.Ee)) == 0;

    /// <summary>PRFM and hints: nothing to do.</summary>
    public static Op* Nothing(VcpuCore core, CpuState* s, Op* op) => op + 1;
}
