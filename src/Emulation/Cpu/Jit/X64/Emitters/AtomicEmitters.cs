using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Ordered accesses, atomics and exclusives (Arm ARM B2.3, B2.12). The memory model of the host is x86-TSO: loads acquire by themselves, a
/// store that releases is an XCHG, and the rest are locked operations, which are sequentially consistent in every variant. One of these
/// takes about 5 ns. A misaligned access misses the TLB.
/// </summary>
internal static unsafe class AtomicEmitters
{
    private static int AtomicSize(Op* op) => 1 << (int)(op->Word >> 30);

    public static bool LoadAcquire(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: true, write: false);
        LoadStoreEmitters.LoadInto(e, op->Rd, place, size, signed: false, wide: false);
        return true;
    }

    public static bool StoreRelease(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: false, write: true);
        e.Registers.Copy(Rdx, op->Rd);
        e.Asm.Exchange(size, place, Rdx);
        return true;
    }

    /// <summary>LDAPUR and its kin: bits 23:22 say whether there is a sign and how far it goes.</summary>
    public static bool LoadAcquireOffset(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        int kind = (int)(op->Word >> 22) & 3;
        Operand place = AlignedAccess(e, op, size, read: true, write: false, offset: (int)op->Imm);
        LoadStoreEmitters.LoadInto(e, op->Rd, place, size, signed: kind >= 2, wide: kind == 2);
        return true;
    }

    /// <summary>STLUR and its kin.</summary>
    public static bool StoreReleaseOffset(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: false, write: true, offset: (int)op->Imm);
        e.Registers.Copy(Rdx, op->Rd);
        e.Asm.Exchange(size, place, Rdx);
        return true;
    }

    public static bool AtomicAdd(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: true, write: true);
        e.Registers.Copy(Rdx, op->Rm);
        e.Asm.Lock();
        e.Asm.ExchangeAdd(size, place, Rdx);
        OutOld(e, op->Rd, Rdx, size);
        return true;
    }

    public static bool AtomicSwap(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: true, write: true);
        e.Registers.Copy(Rdx, op->Rm);
        e.Asm.Exchange(size, place, Rdx);
        OutOld(e, op->Rd, Rdx, size);
        return true;
    }

    public static bool AtomicClear(BlockEmitter e, Op* op) => AtomicLogical(e, op, Alu.And);

    public static bool AtomicExclusiveOr(BlockEmitter e, Op* op) => AtomicLogical(e, op, Alu.Xor);

    public static bool AtomicSet(BlockEmitter e, Op* op) => AtomicLogical(e, op, Alu.Or);

    // A locked operation of the host does not return the old value. Where nobody wants it (STCLR and its kin) that is enough; else a loop
    // around CMPXCHG does it.
    private static bool AtomicLogical(BlockEmitter e, Op* op, Alu operation)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: true, write: true);
        if (op->Rd == CpuState.Sink)
        {
            e.Registers.Copy(Rdx, op->Rm);
            if (operation == Alu.And)
            {
                e.Asm.Not(true, Rdx);
            }

            e.Asm.Lock();
            e.Asm.AluTo(operation, size, place, Rdx);
            return true;
        }

        place = e.Tlb.PlaceInRcx();
        e.Asm.LoadSized(Rax, place, size, signed: false, wide: false);
        byte* again = e.Asm.Position;
        e.Asm.Load(true, Rdx, Rax);
        if (operation == Alu.And)
        {
            // old & ~operand = ~(~old | operand).
            e.Asm.Not(true, Rdx);
            e.Asm.Alu(Alu.Or, true, Rdx, Place(op->Rm));
            e.Asm.Not(true, Rdx);
        }
        else
        {
            e.Asm.Alu(operation, true, Rdx, Place(op->Rm));
        }

        e.Asm.Lock();
        e.Asm.CompareExchange(size, place, Rdx);
        e.Asm.JumpBack(Condition.NotEqual, again);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    public static bool CompareAndSwap(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        AlignedAccess(e, op, size, read: true, write: true);
        Operand place = e.Tlb.PlaceInRcx();
        e.Registers.Copy(Rax, op->Rm, wide: size == 8);
        Reg desired = e.Registers.In(op->Rd, Rdx);
        e.Asm.Lock();
        e.Asm.CompareExchange(size, place, desired);
        OutOld(e, op->Ra, Rax, size);
        return true;
    }

    public static bool CompareAndSwapPair(BlockEmitter e, Op* op)
    {
        AlignedAccess(e, op, 16, read: true, write: true);
        int expected = (int)(op->Word >> 16) & 31;
        int desired = (int)op->Word & 31;
        LendPins(e);
        e.Asm.Load(true, Rax, Lent(expected));
        e.Asm.Load(true, Rdx, Lent(expected + 1));
        CompareExchangePair(e, desired, desired + 1);
        e.Registers.Out(expected, Rax);
        e.Registers.Out(expected + 1 == CpuState.Zr ? CpuState.Sink : expected + 1, Rdx);
        return true;
    }

    // CMPXCHG16B uses RBX, RAX, RCX and RDX, and needs the place in yet another register. So the pins of X2 (RBX) and X0 (RSI) are stored
    // and lent to it. RSI = the place, which was RAX + RCX.
    private static void LendPins(BlockEmitter e)
    {
        e.Asm.Store(true, HostRegisters.Slot(0), Reg.Rsi);
        e.Asm.Store(true, HostRegisters.Slot(2), Reg.Rbx);
        e.Asm.Lea(true, Reg.Rsi, Operand.At(Rax, Rcx, 0));
    }

    // Where a guest register is while pins are lent.
    private static Operand Lent(int slot) => slot is 0 or 2 ? HostRegisters.Slot(slot) : Place(slot);

    // Writes two guest registers to RSI if RDX:RAX is there: then ZF = 1. Loads the pins again, which leaves the flags alone.
    private static void CompareExchangePair(BlockEmitter e, int low, int high)
    {
        e.Asm.Load(true, Reg.Rbx, Lent(low));
        e.Asm.Load(true, Rcx, Lent(high));
        e.Asm.Lock();
        e.Asm.CompareExchange16(Operand.At(Reg.Rsi));
        e.Asm.Load(true, Reg.Rsi, HostRegisters.Slot(0));
        e.Asm.Load(true, Reg.Rbx, HostRegisters.Slot(2));
    }

    // ---- Exclusives: the monitor is the interpreter's, in CpuState ----

    public static bool LoadExclusive(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(e, op, size, read: true, write: false);
        e.Asm.Store(true, HostRegisters.ExclusiveAddress, Rax);
        e.Asm.LoadSized(Rdx, place, size, signed: false, wide: false);
        e.Asm.Store(true, HostRegisters.ExclusiveLow, Rdx);
        e.Asm.StoreImmediate(true, HostRegisters.ExclusiveHigh, 0);
        e.Asm.StoreImmediate(false, HostRegisters.ExclusiveSize, size);
        e.Registers.Out(op->Rd, Rdx);
        return true;
    }

    public static bool StoreExclusive(BlockEmitter e, Op* op)
    {
        int size = AtomicSize(op);
        CheckMonitor(e, op, size);
        e.Tlb.ProbeAligned(op, size, read: true, write: true);
        Operand place = e.Tlb.PlaceInRcx();
        e.Asm.Load(true, Rax, HostRegisters.ExclusiveLow);
        Reg desired = e.Registers.In(op->Rd, Rdx);
        e.Asm.Lock();
        e.Asm.CompareExchange(size, place, desired);
        FinishStoreExclusive(e, op);
        return true;
    }

    // Another CPU may write between the two loads. Then the compare-and-exchange of the store fails.
    public static bool LoadExclusivePair(BlockEmitter e, Op* op)
    {
        if (op->Rd == op->Ra)
        {
            return false;
        }

        Operand place = AlignedAccess(e, op, 16, read: true, write: false);
        e.Asm.Store(true, HostRegisters.ExclusiveAddress, Rax);
        e.Asm.Load(true, Rdx, place);
        e.Asm.Load(true, Rax, place with { Displacement = 8 });
        e.Asm.Store(true, HostRegisters.ExclusiveLow, Rdx);
        e.Asm.Store(true, HostRegisters.ExclusiveHigh, Rax);
        e.Asm.StoreImmediate(false, HostRegisters.ExclusiveSize, 16);
        e.Registers.Out(op->Rd, Rdx);
        e.Registers.Out(op->Ra, Rax);
        return true;
    }

    public static bool StoreExclusivePair(BlockEmitter e, Op* op)
    {
        CheckMonitor(e, op, 16);
        e.Tlb.ProbeAligned(op, 16, read: true, write: true);
        LendPins(e);
        e.Asm.Load(true, Rax, HostRegisters.ExclusiveLow);
        e.Asm.Load(true, Rdx, HostRegisters.ExclusiveHigh);
        CompareExchangePair(e, op->Rd, op->Ra);
        FinishStoreExclusive(e, op);
        return true;
    }

    // RAX = the address in Rn. Leaves where the monitor is open, or was set for another address or size.
    private static void CheckMonitor(BlockEmitter e, Op* op, int size)
    {
        e.Flags.GiveUp();
        e.Cover.CheckStack(op);
        e.Asm.AluImmediate(Alu.Cmp, false, HostRegisters.ExclusiveSize, size);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.Alu(Alu.Cmp, true, Rax, HostRegisters.ExclusiveAddress);
        e.Exits.LeaveIf(Condition.NotEqual, op);
    }

    // Opens the monitor, and gives Rm 0 where ZF says that the store was done, else 1.
    private static void FinishStoreExclusive(BlockEmitter e, Op* op)
    {
        e.Asm.StoreImmediate(false, HostRegisters.ExclusiveSize, 0);
        e.Asm.SetByte(Condition.NotEqual, Rax);
        e.Asm.ZeroExtend8(Rax, Rax);
        e.Registers.Out(op->Rm, Rax);
    }

    public static bool ClearExclusive(BlockEmitter e, Op* op)
    {
        e.Asm.StoreImmediate(false, HostRegisters.ExclusiveSize, 0);
        return true;
    }

    // RAX = the address in Rn, plus an offset. Returns the place in host memory: RAX + RCX.
    private static Operand AlignedAccess(BlockEmitter e, Op* op, int size, bool read, bool write, int offset = 0)
    {
        e.Flags.GiveUp();
        e.Cover.CheckStack(op);
        e.Registers.Address(op->Rn, offset);
        return e.Tlb.ProbeAligned(op, size, read, write);
    }

    // Gives the value that was in memory to a guest register, zero-extended. Host operations on 4 and 8 bytes have extended it already.
    private static void OutOld(BlockEmitter e, int slot, Reg old, int size)
    {
        if (slot == CpuState.Sink)
        {
            return;
        }

        if (size == 1)
        {
            e.Asm.ZeroExtend8(old, old);
        }
        else if (size == 2)
        {
            e.Asm.ZeroExtend16(old, old);
        }

        e.Registers.Out(slot, old);
    }
}
