using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Exclusives (Arm ARM B2.12), acquire and release, and the atomic instructions of FEAT_LSE.</summary>
/// <remarks>
/// A load-exclusive notes the address and value; a store-exclusive to that address succeeds by compare-and-exchange with that
/// value. A location that changed and changed back is not noticed, as in every emulator that does without trapping stores.
/// <para>The monitor holds what is in memory; registers hold it in the order of <see cref="Endianness"/>.</para>
/// </remarks>
internal static unsafe class Atomics
{
    public static Op* LoadExclusive<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!Location(core, s, op, sizeof(T), write: false, out byte* p, out Op* next))
        {
            return next;
        }

        T value = Unsafe.Read<T>(p);
        Interlocked.MemoryBarrier();
        Mark(s, s->X[op->Rn], sizeof(T), Widen.ZeroExtend(value), 0);
        s->X[op->Rd] = Widen.ZeroExtend(Endianness.Ordered(s, value));
        return op + 1;
    }

    public static Op* LoadExclusivePair32(VcpuCore core, CpuState* s, Op* op)
    {
        if (!Location(core, s, op, 8, write: false, out byte* p, out Op* next))
        {
            return next;
        }

        ulong value = *(ulong*)p;
        Interlocked.MemoryBarrier();
        Mark(s, s->X[op->Rn], 8, value, 0);
        value = Endianness.OrderedPair(s, value);
        s->X[op->Rd] = (uint)value;
        s->X[op->Ra] = value >> 32;
        return op + 1;
    }

    public static Op* LoadExclusivePair64(VcpuCore core, CpuState* s, Op* op)
    {
        if (!Location(core, s, op, 16, write: false, out byte* p, out Op* next))
        {
            return next;
        }

        // Two halves may be torn; the compare-and-exchange of the store then fails, as the architecture lets a lone LDXP be.
        ulong low = Volatile.Read(ref *(ulong*)p);
        ulong high = Volatile.Read(ref *(ulong*)(p + 8));
        Interlocked.MemoryBarrier();
        Mark(s, s->X[op->Rn], 16, low, high);
        s->X[op->Rd] = Endianness.Ordered(s, low);
        s->X[op->Ra] = Endianness.Ordered(s, high);
        return op + 1;
    }

    public static Op* StoreExclusive<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        ulong va = s->X[op->Rn];
        if (!PrepareStore(core, s, op, va, sizeof(T), out byte* p, out Op* next))
        {
            return next;
        }

        T expected = T.CreateTruncating(s->ExclusiveLow);
        bool done = Interlocked.CompareExchange(ref *(T*)p, Endianness.Ordered(s, T.CreateTruncating(s->X[op->Rd])), expected) == expected;
        return Finish(s, op, done);
    }

    public static Op* StoreExclusivePair32(VcpuCore core, CpuState* s, Op* op)
    {
        ulong va = s->X[op->Rn];
        if (!PrepareStore(core, s, op, va, 8, out byte* p, out Op* next))
        {
            return next;
        }

        ulong desired = Endianness.OrderedPair(s, (uint)s->X[op->Rd] | (s->X[op->Ra] << 32));
        return Finish(s, op, Interlocked.CompareExchange(ref *(ulong*)p, desired, s->ExclusiveLow) == s->ExclusiveLow);
    }

    public static Op* StoreExclusivePair64(VcpuCore core, CpuState* s, Op* op)
    {
        ulong va = s->X[op->Rn];
        if (!PrepareStore(core, s, op, va, 16, out byte* p, out Op* next))
        {
            return next;
        }

        var expected = new UInt128(s->ExclusiveHigh, s->ExclusiveLow);
        return Finish(s, op, HostAtomics.CompareExchange128(p, ref expected, Pair(s, op->Rd, op->Ra)));
    }

    private static void Mark(CpuState* s, ulong va, int size, ulong low, ulong high)
    {
        s->ExclusiveAddress = va;
        s->ExclusiveSize = size;
        s->ExclusiveLow = low;
        s->ExclusiveHigh = high;
    }

    // False: the instruction is over, with a fault or with status 1.
    private static bool PrepareStore(VcpuCore core, CpuState* s, Op* op, ulong va, int size, out byte* p, out Op* next)
    {
        p = null;
        if (LoadStore.StackMisaligned(core, op, va))
        {
            next = core.TakeStackAlignment(op);
            return false;
        }

        if (s->ExclusiveSize != size || s->ExclusiveAddress != va)
        {
            next = Finish(s, op, false);
            return false;
        }

        if (!MemoryAccess.HostPointer(core, s, op, va, size, write: true, out p))
        {
            next = core.Resume(op);
            return false;
        }

        next = null;
        return true;
    }

    private static Op* Finish(CpuState* s, Op* op, bool done)
    {
        s->ExclusiveSize = 0;
        s->X[op->Rm] = done ? 0ul : 1ul;
        return op + 1;
    }

    public static Op* CompareAndSwap<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!Location(core, s, op, sizeof(T), write: true, out byte* p, out Op* next))
        {
            return next;
        }

        T desired = Endianness.Ordered(s, T.CreateTruncating(s->X[op->Rd]));
        T seen = Interlocked.CompareExchange(ref *(T*)p, desired, Endianness.Ordered(s, T.CreateTruncating(s->X[op->Rm])));
        s->X[op->Ra] = ulong.CreateTruncating(Endianness.Ordered(s, seen));
        return op + 1;
    }

    /// <summary>CASP of two words: even registers Rs, Rt name pairs.</summary>
    public static Op* CompareAndSwapPair32(VcpuCore core, CpuState* s, Op* op)
    {
        if (!Location(core, s, op, 8, write: true, out byte* p, out Op* next))
        {
            return next;
        }

        int rs = (int)((op->Word >> 16) & 31);
        int rt = (int)(op->Word & 31);
        ulong expected = Endianness.OrderedPair(s, (uint)s->X[rs] | (s->X[rs + 1] << 32));
        ulong desired = Endianness.OrderedPair(s, (uint)s->X[rt] | (s->X[rt + 1] << 32));
        ulong seen = Endianness.OrderedPair(s, Interlocked.CompareExchange(ref *(ulong*)p, desired, expected));
        s->X[rs] = (uint)seen;
        s->X[Writable(rs + 1)] = seen >> 32;
        return op + 1;
    }

    public static Op* CompareAndSwapPair64(VcpuCore core, CpuState* s, Op* op)
    {
        if (!Location(core, s, op, 16, write: true, out byte* p, out Op* next))
        {
            return next;
        }

        int rs = (int)((op->Word >> 16) & 31);
        int rt = (int)(op->Word & 31);
        UInt128 seen = Pair(s, rs, rs + 1);
        HostAtomics.CompareExchange128(p, ref seen, Pair(s, rt, rt + 1));
        s->X[rs] = Endianness.Ordered(s, (ulong)seen);
        s->X[Writable(rs + 1)] = Endianness.Ordered(s, (ulong)(seen >> 64));
        return op + 1;
    }

    // Two registers as memory is to hold them, the first at the lower address.
    private static UInt128 Pair(CpuState* s, int first, int second) =>
        new(Endianness.Ordered(s, s->X[second]), Endianness.Ordered(s, s->X[first]));

    private static int Writable(int register) => register == CpuState.Zr ? CpuState.Sink : register;

    /// <summary>LDADD and its kin: the old value to Rt, the combination with Rs to memory.</summary>
    public static Op* ReadModifyWrite<TOperation, T>(VcpuCore core, CpuState* s, Op* op)
        where TOperation : struct, IAtomicOperation
        where T : unmanaged, IBinaryInteger<T>
    {
        if (!Location(core, s, op, sizeof(T), write: true, out byte* p, out Op* next))
        {
            return next;
        }

        T operand = T.CreateTruncating(s->X[op->Rm]);
        T old = *(T*)p;
        while (true)
        {
            T combined = Endianness.Ordered(s, TOperation.Combine(Endianness.Ordered(s, old), operand));
            T seen = Interlocked.CompareExchange(ref *(T*)p, combined, old);
            if (seen == old)
            {
                break;
            }

            old = seen;
        }

        s->X[op->Rd] = ulong.CreateTruncating(Endianness.Ordered(s, old));
        return op + 1;
    }

    // The host address of the operand. False: the instruction is over, with a fault.
    private static bool Location(VcpuCore core, CpuState* s, Op* op, int size, bool write, out byte* p, out Op* next)
    {
        ulong va = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, va))
        {
            p = null;
            next = core.TakeStackAlignment(op);
            return false;
        }

        if (!MemoryAccess.HostPointer(core, s, op, va, size, write, out p))
        {
            next = core.Resume(op);
            return false;
        }

        next = null;
        return true;
    }
}

/// <summary>The operation of an atomic instruction, which gives the value to store.</summary>
internal interface IAtomicOperation
{
    static abstract T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct AtomicAdd : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => unchecked(old + operand);
}

internal readonly struct AtomicClear : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => old & ~operand;
}

internal readonly struct AtomicExclusiveOr : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => old ^ operand;
}

internal readonly struct AtomicSet : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => old | operand;
}

internal readonly struct AtomicSignedMaximum : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => Signed.Less(old, operand) ? operand : old;
}

internal readonly struct AtomicSignedMinimum : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => Signed.Less(operand, old) ? operand : old;
}

internal readonly struct AtomicUnsignedMaximum : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => T.Max(old, operand);
}

internal readonly struct AtomicUnsignedMinimum : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => T.Min(old, operand);
}

internal readonly struct AtomicSwap : IAtomicOperation
{
    public static T Combine<T>(T old, T operand)
        where T : unmanaged, IBinaryInteger<T> => operand;
}

internal static class Signed
{
    /// <summary>a &lt; b of unsigned types read as two's complement.</summary>
    public static unsafe bool Less<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T>
    {
        T sign = T.One << ((sizeof(T) * 8) - 1);
        return (a ^ sign) < (b ^ sign);
    }
}
