using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Ordered accesses, atomics and exclusives (Arm ARM B2.3, B2.12) on a host with x86-TSO: loads acquire by themselves, a store that
/// releases is an XCHG, and the rest are locked operations, sequentially consistent in every variant. One such operation costs about 5 ns.
/// What is misaligned misses the TLB.
/// </content>
internal sealed unsafe partial class Translator
{
    private static int AtomicSize(Op* op) => 1 << (int)(op->Word >> 30);

    private static bool LoadAcquire(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = t.AlignedAccess(op, size, read: true, write: false);
        t.LoadInto(op->Rd, place, size, signed: false, wide: false);
        return true;
    }

    private static bool StoreRelease(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = t.AlignedAccess(op, size, read: false, write: true);
        t.Copy(Rdx, op->Rd);
        t._a.Exchange(size, place, Rdx);
        return true;
    }

    private static bool AtomicAdd(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = t.AlignedAccess(op, size, read: true, write: true);
        t.Copy(Rdx, op->Rm);
        t._a.Lock();
        t._a.ExchangeAdd(size, place, Rdx);
        t.OutOld(op->Rd, Rdx, size);
        return true;
    }

    private static bool AtomicSwap(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = t.AlignedAccess(op, size, read: true, write: true);
        t.Copy(Rdx, op->Rm);
        t._a.Exchange(size, place, Rdx);
        t.OutOld(op->Rd, Rdx, size);
        return true;
    }

    private static bool AtomicClear(Translator t, Op* op) => t.AtomicLogical(op, Alu.And);

    private static bool AtomicExclusiveOr(Translator t, Op* op) => t.AtomicLogical(op, Alu.Xor);

    private static bool AtomicSet(Translator t, Op* op) => t.AtomicLogical(op, Alu.Or);

    // The host gives no old value of these: a locked operation where nobody wants it (STCLR and its kin), else a loop around CMPXCHG.
    private bool AtomicLogical(Op* op, Alu operation)
    {
        int size = AtomicSize(op);
        Operand place = AlignedAccess(op, size, read: true, write: true);
        if (op->Rd == CpuState.Sink)
        {
            Copy(Rdx, op->Rm);
            if (operation == Alu.And)
            {
                _a.Not(true, Rdx);
            }

            _a.Lock();
            _a.AluTo(operation, size, place, Rdx);
            return true;
        }

        place = AtRcx();
        LoadSized(Rax, place, size, signed: false, wide: false);
        byte* again = _a.Position;
        _a.Load(true, Rdx, Rax);
        if (operation == Alu.And)
        {
            // old & ~operand = ~(~old | operand).
            _a.Not(true, Rdx);
            _a.Alu(Alu.Or, true, Rdx, Place(op->Rm));
            _a.Not(true, Rdx);
        }
        else
        {
            _a.Alu(operation, true, Rdx, Place(op->Rm));
        }

        _a.Lock();
        _a.CompareExchange(size, place, Rdx);
        _a.JumpBack(Condition.NotEqual, again);
        Out(op->Rd, Rax);
        return true;
    }

    private static bool CompareAndSwap(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        t.AlignedAccess(op, size, read: true, write: true);
        Operand place = t.AtRcx();
        t.Copy(Rax, op->Rm, wide: size == 8);
        Reg desired = t.In(op->Rd, Rdx);
        t._a.Lock();
        t._a.CompareExchange(size, place, desired);
        t.OutOld(op->Ra, Rax, size);
        return true;
    }

    private static bool CompareAndSwapPair(Translator t, Op* op)
    {
        t.AlignedAccess(op, 16, read: true, write: true);
        int expected = (int)(op->Word >> 16) & 31;
        int desired = (int)op->Word & 31;
        t.LendPins();
        t._a.Load(true, Rax, Lent(expected));
        t._a.Load(true, Rdx, Lent(expected + 1));
        t.CompareExchangePair(desired, desired + 1);
        t.Out(expected, Rax);
        t.Out(expected + 1 == CpuState.Zr ? CpuState.Sink : expected + 1, Rdx);
        return true;
    }

    // CMPXCHG16B wants RBX, and the place in a register of its own: the pins of X0 and X2 are lent to it, RSI for the place that is in RAX
    // and RCX.
    private void LendPins()
    {
        _a.Store(true, HostRegisters.Slot(0), Reg.Rsi);
        _a.Store(true, HostRegisters.Slot(2), Reg.Rbx);
        _a.Lea(true, Reg.Rsi, Operand.At(Rax, Rcx, 0));
    }

    // A guest register while pins are lent.
    private static Operand Lent(int slot) => slot is 0 or 2 ? HostRegisters.Slot(slot) : Place(slot);

    // Expects RDX:RAX at RSI; takes the pins back. ZF = 1: done. Flags stay.
    private void CompareExchangePair(int low, int high)
    {
        _a.Load(true, Reg.Rbx, Lent(low));
        _a.Load(true, Rcx, Lent(high));
        _a.Lock();
        _a.CompareExchange16(Operand.At(Reg.Rsi));
        _a.Load(true, Reg.Rsi, HostRegisters.Slot(0));
        _a.Load(true, Reg.Rbx, HostRegisters.Slot(2));
    }

    // ---- Exclusives: the monitor is that of the interpreter ----

    private static bool LoadExclusive(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        Operand place = t.AlignedAccess(op, size, read: true, write: false);
        t._a.Store(true, HostRegisters.ExclusiveAddress, Rax);
        t.LoadSized(Rdx, place, size, signed: false, wide: false);
        t._a.Store(true, HostRegisters.ExclusiveLow, Rdx);
        t._a.StoreImmediate(true, HostRegisters.ExclusiveHigh, 0);
        t._a.StoreImmediate(false, HostRegisters.ExclusiveSize, size);
        t.Out(op->Rd, Rdx);
        return true;
    }

    private static bool StoreExclusive(Translator t, Op* op)
    {
        int size = AtomicSize(op);
        t.CheckMonitor(op, size);
        t.ProbeAligned(op, size, read: true, write: true);
        Operand place = t.AtRcx();
        t._a.Load(true, Rax, HostRegisters.ExclusiveLow);
        Reg desired = t.In(op->Rd, Rdx);
        t._a.Lock();
        t._a.CompareExchange(size, place, desired);
        t.FinishStoreExclusive(op);
        return true;
    }

    // Two halves may be torn; the compare-and-exchange of the store then fails.
    private static bool LoadExclusivePair(Translator t, Op* op)
    {
        if (op->Rd == op->Ra)
        {
            return false;
        }

        Operand place = t.AlignedAccess(op, 16, read: true, write: false);
        t._a.Store(true, HostRegisters.ExclusiveAddress, Rax);
        t._a.Load(true, Rdx, place);
        t._a.Load(true, Rax, place with { Displacement = 8 });
        t._a.Store(true, HostRegisters.ExclusiveLow, Rdx);
        t._a.Store(true, HostRegisters.ExclusiveHigh, Rax);
        t._a.StoreImmediate(false, HostRegisters.ExclusiveSize, 16);
        t.Out(op->Rd, Rdx);
        t.Out(op->Ra, Rax);
        return true;
    }

    private static bool StoreExclusivePair(Translator t, Op* op)
    {
        t.CheckMonitor(op, 16);
        t.ProbeAligned(op, 16, read: true, write: true);
        t.LendPins();
        t._a.Load(true, Rax, HostRegisters.ExclusiveLow);
        t._a.Load(true, Rdx, HostRegisters.ExclusiveHigh);
        t.CompareExchangePair(op->Rd, op->Ra);
        t.FinishStoreExclusive(op);
        return true;
    }

    // RAX = the address in Rn. Leaves where the monitor was set by another access, or is open.
    private void CheckMonitor(Op* op, int size)
    {
        LoseHostFlags();
        CheckStack(op);
        _a.AluImmediate(Alu.Cmp, false, HostRegisters.ExclusiveSize, size);
        LeaveIf(Condition.NotEqual, op);
        Copy(Rax, op->Rn);
        _a.Alu(Alu.Cmp, true, Rax, HostRegisters.ExclusiveAddress);
        LeaveIf(Condition.NotEqual, op);
    }

    // ZF = 1: it was stored.
    private void FinishStoreExclusive(Op* op)
    {
        _a.StoreImmediate(false, HostRegisters.ExclusiveSize, 0);
        _a.SetByte(Condition.NotEqual, Rax);
        _a.ZeroExtend8(Rax, Rax);
        Out(op->Rm, Rax);
    }

    private static bool ClearExclusive(Translator t, Op* op)
    {
        t._a.StoreImmediate(false, HostRegisters.ExclusiveSize, 0);
        return true;
    }

    // RAX = the address in Rn; returns the place in host memory, by RAX and RCX.
    private Operand AlignedAccess(Op* op, int size, bool read, bool write)
    {
        LoseHostFlags();
        CheckStack(op);
        Copy(Rax, op->Rn);
        return ProbeAligned(op, size, read, write);
    }

    // Like Probe; the low bits of a misaligned address are kept, so that no tag is equal.
    private Operand ProbeAligned(Op* op, int size, bool read, bool write)
    {
        _a.Load(false, Rcx, Rax);
        _a.ShiftImmediate(Shift.Shr, false, Rcx, 7);
        _a.AluImmediate(Alu.And, false, Rcx, (TlbEntry.Count - 1) << 5);
        _a.Alu(Alu.Add, true, Rcx, HostRegisters.Tlb);
        _a.Load(true, Rdx, Rax);
        _a.AluImmediate(Alu.And, true, Rdx, -4096 | (size - 1));
        if (read)
        {
            _a.Alu(Alu.Cmp, true, Rdx, Operand.At(Rcx, TlbEntry.ReadTagOffset));
            LeaveIf(Condition.NotEqual, op, ExitReason.TlbMiss);
        }

        if (write)
        {
            _a.Alu(Alu.Cmp, true, Rdx, Operand.At(Rcx, TlbEntry.WriteTagOffset));
            LeaveIf(Condition.NotEqual, op, ExitReason.TlbMiss);
        }

        _a.Load(true, Rcx, Operand.At(Rcx, TlbEntry.AddendOffset));
        if (write && lockstep)
        {
            LogStore(size);
        }

        return Operand.At(Rax, Rcx, 0);
    }

    // The place of a probe by RCX alone: RAX becomes free.
    private Operand AtRcx()
    {
        _a.Alu(Alu.Add, true, Rcx, Rax);
        return Operand.At(Rcx);
    }

    // What was in memory, zero-extended; host operations on 4 bytes have done that already.
    private void OutOld(int slot, Reg old, int size)
    {
        if (slot == CpuState.Sink)
        {
            return;
        }

        if (size == 1)
        {
            _a.ZeroExtend8(old, old);
        }
        else if (size == 2)
        {
            _a.ZeroExtend16(old, old);
        }

        Out(slot, old);
    }
}
