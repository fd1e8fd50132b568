namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Loads and stores of one SIMD&amp;FP register or a pair: the low bytes of V, the rest zeroed by a load.</summary>
internal static unsafe class SimdLoadStore
{
    private static void SetRegister<T>(CpuState* s, int register, T value)
        where T : unmanaged
    {
        ulong* v = &s->V[register * 2];
        v[0] = 0;
        v[1] = 0;
        *(T*)v = value;
    }

    private static T Register<T>(CpuState* s, int register)
        where T : unmanaged => *(T*)&s->V[register * 2];

    public static Op* Load<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Load(core, s, op, va, out T value))
        {
            return core.Resume(op);
        }

        SetRegister(s, op->Rd, value);
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* Store<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Store(core, s, op, va, Register<T>(s, op->Rd)))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* LoadLiteral<T>(VcpuCore core, CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!MemoryAccess.Load(core, s, op, core.PcOf(op) + op->Imm, out T value))
        {
            return core.Resume(op);
        }

        SetRegister(s, op->Rd, value);
        return op + 1;
    }

    public static Op* LoadPair<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Load(core, s, op, va, out T first) || !MemoryAccess.Load(core, s, op, va + (ulong)sizeof(T), out T second))
        {
            return core.Resume(op);
        }

        SetRegister(s, op->Rd, first);
        SetRegister(s, op->Ra, second);
        TMode.WriteBack(s, op, va);
        return op + 1;
    }

    public static Op* StorePair<TMode, T>(VcpuCore core, CpuState* s, Op* op)
        where TMode : struct, IAddressing
        where T : unmanaged
    {
        ulong origin = s->X[op->Rn];
        if (LoadStore.StackMisaligned(core, op, origin))
        {
            return core.TakeStackAlignment(op);
        }

        ulong va = TMode.Address(s, op, origin);
        if (!MemoryAccess.Store(core, s, op, va, Register<T>(s, op->Rd))
            || !MemoryAccess.Store(core, s, op, va + (ulong)sizeof(T), Register<T>(s, op->Ra)))
        {
            return core.Resume(op);
        }

        TMode.WriteBack(s, op, va);
        return op + 1;
    }
}
