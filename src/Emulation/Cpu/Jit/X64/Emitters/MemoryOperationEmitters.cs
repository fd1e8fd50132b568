using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// FEAT_MOPS, of what is done by the prologue alone: up to a page, within one page on each side, which the TLB knows. That is most of what
/// programs copy and set. The other two instructions then have nothing to do; where they have, the interpreter does it.
/// </summary>
internal static unsafe class MemoryOperationEmitters
{
    private const int Page = GuestMemory.PageSize;
    private const int ExceptionLevelMask = 0xC;

    // Reads or writes with the rights of EL0.
    private const uint Unprivileged = 3u << 12;

    /// <summary>SETP.</summary>
    public static bool BeginSet(BlockEmitter e, Op* op)
    {
        if (!IsPossible(e, op))
        {
            return false;
        }

        RequireAllowed(e, op);
        RequireSize(e, op);
        RequireWithinPage(e, op, op->Rd);
        e.Registers.Copy(Rax, op->Rd);
        e.Tlb.Probe(op, 1, write: true);
        e.Asm.Lea(true, Rdx, Operand.At(Rax, Rcx, 0));
        LendPins(e);
        e.Asm.Load(true, Rax, Lent(op->Rm));
        e.Asm.Load(true, Rcx, Lent(op->Rn));
        e.Asm.Load(true, Reg.Rdi, Rdx);
        e.Asm.FillBytes();
        TakeBackPins(e);
        e.Registers.Copy(Rcx, op->Rn);
        Finish(e, op, copies: false);
        return true;
    }

    /// <summary>CPYFP, CPYP. Where the places lie over each other and the destination is behind, the interpreter copies.</summary>
    public static bool BeginCopy(BlockEmitter e, Op* op)
    {
        if (!IsPossible(e, op) || op->Rm == CpuState.Zr)
        {
            return false;
        }

        RequireAllowed(e, op);
        RequireSize(e, op);
        RequireWithinPage(e, op, op->Rd);
        RequireWithinPage(e, op, op->Rm);

        // RAX is the size less one here. The top bytes, which may be tags, are left out.
        e.Registers.Copy(Rcx, op->Rd);
        e.Asm.Alu(Alu.Sub, true, Rcx, Place(op->Rm));
        e.Asm.ShiftImmediate(Shift.Shl, true, Rcx, 8);
        e.Asm.ShiftImmediate(Shift.Shr, true, Rcx, 8);
        e.Asm.AluImmediate(Alu.Sub, true, Rcx, 1);
        e.Asm.Alu(Alu.Cmp, true, Rcx, Rax);
        e.Exits.LeaveIf(Condition.Below, op);

        e.Registers.Copy(Rax, op->Rm);
        e.Tlb.Probe(op, 1, write: false);
        e.Asm.Alu(Alu.Add, true, Rax, Rcx);
        e.Asm.LoadXmmGeneral(true, 0, Rax);
        e.Registers.Copy(Rax, op->Rd);
        e.Tlb.Probe(op, 1, write: true);
        e.Asm.Lea(true, Rdx, Operand.At(Rax, Rcx, 0));
        LendPins(e);
        e.Asm.Load(true, Rcx, Lent(op->Rn));
        e.Asm.StoreXmmGeneral(true, Reg.Rsi, 0);
        e.Asm.Load(true, Reg.Rdi, Rdx);
        e.Asm.CopyBytes();
        TakeBackPins(e);
        e.Registers.Copy(Rcx, op->Rn);
        Finish(e, op, copies: true);
        return true;
    }

    /// <summary>CPYM, CPYE, SETM, SETE and their kin: nothing is left to be done.</summary>
    public static bool GoOn(BlockEmitter e, Op* op)
    {
        if (!AreRegistersApart(op) || (op->Rm == CpuState.Zr && !IsSet(op)))
        {
            return false;
        }

        RequireAllowed(e, op);
        e.Asm.AluImmediate(Alu.Cmp, true, Place(op->Rn), 0);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        return true;
    }

    // In lockstep a store is logged with a length that is known.
    private static bool IsPossible(BlockEmitter e, Op* op) =>
        !e.Tlb.LogsStores && AreRegistersApart(op) && (op->Word & (IsSet(op) ? 1u << 12 : Unprivileged)) == 0;

    private static bool AreRegistersApart(Op* op) =>
        op->Rd != op->Rn && op->Rd != op->Rm && op->Rn != op->Rm && op->Rd != CpuState.Zr && op->Rn != CpuState.Zr;

    private static bool IsSet(Op* op) => ((op->Word >> 22) & 3) == 3;

    // Leaves at EL0 without SCTLR_EL1.MSCEn.
    private static void RequireAllowed(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Asm.Load(false, Rcx, HostRegisters.Pstate);
        e.Asm.AluImmediate(Alu.And, false, Rcx, ExceptionLevelMask);
        e.Asm.Load(true, Rdx, HostRegisters.Field(&HostRegisters.Origin->SctlrEl1));
        e.Asm.ShiftImmediate(Shift.Shr, true, Rdx, System.Numerics.BitOperations.TrailingZeroCount(Sctlr.MscEn));
        e.Asm.AluImmediate(Alu.And, false, Rdx, 1);
        e.Asm.Alu(Alu.Or, false, Rcx, Rdx);
        e.Exits.LeaveIf(Condition.Equal, op);
    }

    // RAX = the size less one. Leaves where the size is zero or more than a page.
    private static void RequireSize(BlockEmitter e, Op* op)
    {
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.AluImmediate(Alu.Sub, true, Rax, 1);
        e.Asm.AluImmediate(Alu.Cmp, true, Rax, Page);
        e.Exits.LeaveIf(Condition.AboveOrEqual, op);
    }

    // RAX is the size less one. Leaves where the last byte lies in another page than the first.
    private static void RequireWithinPage(BlockEmitter e, Op* op, int slot)
    {
        e.Registers.Copy(Rcx, slot, wide: false);
        e.Asm.AluImmediate(Alu.And, false, Rcx, Page - 1);
        e.Asm.Alu(Alu.Add, false, Rcx, Rax);
        e.Asm.AluImmediate(Alu.Cmp, false, Rcx, Page);
        e.Exits.LeaveIf(Condition.AboveOrEqual, op);
    }

    // The host's string instructions use RSI and RDI, which are the pins of X0 and X1.
    private static void LendPins(BlockEmitter e)
    {
        e.Asm.Store(true, HostRegisters.Slot(0), Reg.Rsi);
        e.Asm.Store(true, HostRegisters.Slot(1), Reg.Rdi);
    }

    private static void TakeBackPins(BlockEmitter e)
    {
        e.Asm.Load(true, Reg.Rsi, HostRegisters.Slot(0));
        e.Asm.Load(true, Reg.Rdi, HostRegisters.Slot(1));
    }

    // Where a guest register is while pins are lent.
    private static Operand Lent(int slot) => slot is 0 or 1 ? HostRegisters.Slot(slot) : Place(slot);

    // The registers by option A, of a size that is done: RCX. NZCV = 0.
    private static void Finish(BlockEmitter e, Op* op, bool copies)
    {
        Advance(e, op->Rd);
        if (copies)
        {
            Advance(e, op->Rm);
        }

        e.Asm.LoadImmediate(Rax, 0);
        e.Registers.Out(op->Rn, Rax);
        e.Asm.Store(false, HostRegisters.HostFlags, Rax);
        e.Flags.Forget();
    }

    private static void Advance(BlockEmitter e, int slot)
    {
        e.Registers.Copy(Rax, slot);
        e.Asm.Alu(Alu.Add, true, Rax, Rcx);
        e.Registers.Out(slot, Rax);
    }
}
