using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// What is known of base registers at the place in the code that is being written: which bytes around them have been looked up, and whether
/// SP is aligned.
/// <para>Loads and stores at one base register and constant offsets that follow each other share one look-up. The first of them, the
/// leader, looks up the bytes of all. These bytes are the cover. Each of the others is one host instruction, behind a load of the addend
/// where that is not still in RCX. There is a cover for loads and one for stores of each base register.</para>
/// <para>A cover ends at a label, where an instruction is left to the interpreter in any case, and where its base register changes by more
/// than a constant. Where an instruction is left to the interpreter in a rare case, the code behind it goes on only if the translations in
/// force have not changed (<see cref="ExitInfo.Relies"/>). A leader that was left comes back by way of another look-up.</para>
/// <para>At SP and in loops, a leader compares the page with the one that its base register used last: five to seven host instructions, and
/// the host address waits for none of them. Elsewhere that page is another half of the time, and the leader looks the TLB up, in nine.
/// Where the bytes of a cover lie in two pages, the code goes on in another block in which each access does its own look-up.</para>
/// </summary>
internal sealed unsafe class AddressCover(
    Assembler asm, Thunks thunks, GuestRegisters registers, FlagCache flags, Exits exits, TlbLookup tlb)
{
    private const int None = -1;

    // The bytes from base + From up to base + To. Their addend is that of the base register's last page, or in CpuState.CoverAddend.
    private record struct Cover(int From, int To, bool InBase);

    // By IndexOf.
    private readonly Cover[] _covers = new Cover[2 * CpuState.Bases];

    // The covers that are in force, by bit.
    private ulong _valid;

    // The cover that the current instruction has used.
    private int _used;

    // The cover whose addend is in RCX: true at one place only, so as long as no code has been written since.
    private int _addendOf;
    private byte* _addendAt;

    // SP is known to be a multiple of 16, which SCTLR_EL1.SA and SA0 ask for.
    private bool _stackAligned;

    private BlockPlan _plan = null!;

    // The instruction that code is being made of.
    private int _index;

    /// <summary>Whether any cover is in force.</summary>
    public bool Any => _valid != 0;

    private static int IndexOf(int slot, bool write) => HostRegisters.BaseIndex(slot) + (write ? CpuState.Bases : 0);

    private static int SlotOf(int index) => index % CpuState.Bases == CpuState.Bases - 1 ? CpuState.Sp : index % CpuState.Bases;

    /// <summary>Begins a block.</summary>
    public void Begin(BlockPlan plan)
    {
        _plan = plan;

        // After all code was given up the same addresses are used again.
        _addendAt = null;
    }

    /// <summary>Begins an instruction of the block.</summary>
    public void BeginInstruction(int index)
    {
        _index = index;
        _used = None;
    }

    /// <summary>Behind the code of an instruction: covers move with their base registers, or end.</summary>
    public void EndInstruction(Op* op)
    {
        for (ulong rest = _valid; rest != 0; rest &= rest - 1)
        {
            int index = BitOperations.TrailingZeroCount(rest);
            int slot = SlotOf(index);
            if (!OpEffects.MayWrite(op, slot))
            {
                continue;
            }

            if (BaseAccess.Moves(op, slot, out int by))
            {
                _covers[index].From -= by;
                _covers[index].To -= by;
            }
            else
            {
                End(index);
            }
        }

        // A way back from the interpreter to this place leaves something else in RCX, unless it is that of a leader.
        if (_used != None && (_valid & (1UL << _used)) != 0 && (!exits.IsLeft || exits.Led.Leads))
        {
            _addendOf = _used;
            _addendAt = asm.Position;
        }
    }

    /// <summary>From here on nothing is known.</summary>
    public void Forget()
    {
        _valid = 0;
        _stackAligned = false;
    }

    private void End(int index) => _valid &= ~(1UL << index);

    // ---- The stack pointer ----

    /// <summary>Leaves where the base register is SP and is misaligned (SCTLR_EL1.SA and SA0). EFLAGS must have been given up.</summary>
    public void CheckStack(Op* op)
    {
        if (op->Rn == CpuState.Sp && !_stackAligned)
        {
            asm.TestImmediate(false, HostRegisters.Pin(CpuState.Sp), 15);
            exits.LeaveIf(Condition.NotEqual, op);
            _stackAligned = true;
        }
    }

    /// <summary>A guest register has been written: if it is SP, it may be misaligned.</summary>
    public void NoteWrite(int slot)
    {
        if (slot == CpuState.Sp)
        {
            _stackAligned = false;
        }
    }

    /// <summary>Rd becomes Rn + value: if Rd is SP, that may keep it aligned.</summary>
    public void NoteAddition(Op* op, long value)
    {
        if (op->Rd == CpuState.Sp)
        {
            _stackAligned &= op->Rn == CpuState.Sp && value % 16 == 0 && GuestRegisters.IsWide(op);
        }
    }

    /// <summary>The base register has moved by a write-back: SP stays aligned if the offset is.</summary>
    public void NoteWriteBack(Op* op)
    {
        if (op->Rn == CpuState.Sp && (op->Imm & 15) != 0)
        {
            _stackAligned = false;
        }
    }

    // ---- Accesses ----

    /// <summary>Looks up an access at the base register of an instruction + an offset, or finds it covered.</summary>
    /// <returns>The place in host memory. It uses RCX, and RAX or the base register.</returns>
    public Operand At(Op* op, int offset, int size, bool write)
    {
        int index = IndexOf(op->Rn, write);
        Cover cover = _covers[index];
        bool covered = (_valid & (1UL << index)) != 0 && offset >= cover.From && offset + size <= cover.To;
        if (covered && (op->Rn != CpuState.Sp || _stackAligned))
        {
            return Covered(op, offset, size, write, index);
        }

        flags.GiveUp();
        CheckStack(op);
        return Lead(op, offset, size, write, index);
    }

    private Operand Covered(Op* op, int offset, int size, bool write, int index)
    {
        if (_addendOf != index || _addendAt != asm.Position)
        {
            asm.Load(true, Reg.Rcx, _covers[index].InBase ? HostRegisters.BaseAddend(op->Rn) : HostRegisters.CoverAddend(index));
        }

        _used = index;
        if (write && tlb.LogsStores)
        {
            registers.Address(op->Rn, offset);
            tlb.LogStore(size);
            return Operand.At(Reg.Rax, Reg.Rcx, 0);
        }

        // The first register of a pair may be the base: the second load needs a copy of it.
        bool keeps = BaseAccess.Of(op).Form == AccessForm.Pair && op->Rd == op->Rn;
        if (keeps)
        {
            registers.Copy(Reg.Rax, op->Rn);
        }

        return Operand.At(keeps ? Reg.Rax : registers.In(op->Rn, Reg.Rax), Reg.Rcx, 0, offset);
    }

    // Looks up the bytes of the access, and of those behind it that can be covered.
    private Operand Lead(Op* op, int offset, int size, bool write, int index)
    {
        (int from, int to) = (offset, offset + size);
        bool leads = !_plan.IsApart && _plan.Reach(_index, write, ref from, ref to);
        int length = to - from;
        bool inBase = op->Rn == CpuState.Sp || _plan.IsInLoop(_index);
        int by = OpEffects.MayWrite(op, op->Rn) && BaseAccess.Moves(op, op->Rn, out int moved) ? moved : 0;
        var miss = new TlbMiss { Length = length, Together = length > size, Leads = leads, Slot = op->Rn, From = from - by, Cover = index };
        registers.Address(op->Rn, from);
        if (inBase)
        {
            ProbeBase(op, size, length, write, miss);
        }
        else
        {
            tlb.ProbeRange(op, length, write, HostRegisters.Tlb, miss);
        }

        if (leads)
        {
            _covers[index] = new Cover(from, to, inBase);
            _valid |= 1UL << index;
            _used = index;
            if (!inBase)
            {
                asm.Store(true, HostRegisters.CoverAddend(index), Reg.Rcx);
            }
        }

        if (!write || !tlb.LogsStores)
        {
            return Operand.At(Reg.Rax, Reg.Rcx, 0, offset - from);
        }

        if (offset != from)
        {
            registers.Address(op->Rn, offset);
        }

        tlb.LogStore(size);
        return Operand.At(Reg.Rax, Reg.Rcx, 0);
    }

    /// <summary>
    /// Compares the page of the bytes from the address in RAX on with the page that the base register used last. Where it is another, or
    /// where an access may cross pages, a stub looks the TLB up. RCX = the addend. Uses RDX.
    /// </summary>
    /// <param name="size">Bytes of the access of this instruction.</param>
    /// <param name="length">Bytes of all accesses that are looked up.</param>
    /// <param name="miss">What the stub must know of a cover; else empty.</param>
    public void ProbeBase(Op* op, int size, int length, bool write, TlbMiss miss)
    {
        EndBaseCovers(op->Rn);
        if (length == size && (size <= 8 || (size == 16 && op->Rn == CpuState.Sp && ((long)op->Imm & 15) == 0)))
        {
            // A misaligned address keeps low bits, which no tag has. SP is known to be aligned, so this is for wrong programs only.
            asm.Load(true, Reg.Rdx, Reg.Rax);
            asm.AluImmediate(Alu.And, true, Reg.Rdx, -4096 | (size - 1));
        }
        else
        {
            // Vectors and pairs are often aligned to less than their size. Where the bytes lie in two pages, the address itself is
            // compared, and it is no tag.
            tlb.PageOfLast(length);
            asm.Alu(Alu.Cmp, true, Reg.Rax, Reg.Rdx);
            asm.ConditionalMove(Condition.Sign, true, Reg.Rdx, Reg.Rax);
        }

        asm.Alu(Alu.Cmp, true, Reg.Rdx, HostRegisters.BaseTag(op->Rn, write));
        byte* jump = asm.JumpForward(Condition.NotEqual);
        asm.Load(true, Reg.Rcx, HostRegisters.BaseAddend(op->Rn));
        miss.Refill = (write ? thunks.RefillWrite : thunks.RefillRead)[HostRegisters.BaseIndex(op->Rn)];
        miss.Back = asm.Position;
        miss.Length = length;
        exits.LeaveAt(jump, op, ExitReason.TlbMiss, miss);
    }

    // The page that the base register used last may become another one.
    private void EndBaseCovers(int slot)
    {
        foreach (bool write in (ReadOnlySpan<bool>)[false, true])
        {
            int index = IndexOf(slot, write);
            if (_covers[index].InBase)
            {
                End(index);
            }
        }
    }

    // ---- In stubs ----

    /// <summary>
    /// In the stub of a miss, where RAX is the first byte: goes back to the hot part where the TLB knows the page after all.
    /// </summary>
    /// <returns>The displacement of the jump that is taken where the bytes lie in two pages; null where they cannot.</returns>
    public byte* LookUpAgain(in TlbMiss miss)
    {
        byte* apart = null;
        if (miss.Length == 0)
        {
            return null;
        }

        if (miss.Refill != null)
        {
            tlb.PageOfLast(miss.Length);
        }

        if (miss.Together)
        {
            asm.Load(true, Reg.Rcx, Reg.Rax);
            asm.Alu(Alu.Xor, true, Reg.Rcx, Reg.Rdx);
            asm.ShiftImmediate(Shift.Shr, true, Reg.Rcx, 12);
            apart = asm.JumpForward(Condition.NotEqual);
        }

        if (miss.Refill != null)
        {
            asm.Call(miss.Refill);
            asm.Jump(Condition.Equal, miss.Back);
        }

        return apart;
    }

    /// <summary>On the way back of a leader that the interpreter has executed: looks its cover up once more.</summary>
    /// <returns>
    /// The displacement of the jump that is taken where the TLB does not know the page even now, as of a device; null for what is no
    /// leader.
    /// </returns>
    public byte* LeadAgain(in TlbMiss miss)
    {
        if (!miss.Leads)
        {
            return null;
        }

        bool write = miss.Cover >= CpuState.Bases;
        registers.Address(miss.Slot, miss.From);
        tlb.PageOfLast(miss.Length);
        asm.Call(miss.Refill != null ? miss.Refill : write ? thunks.LookUpWrite : thunks.LookUpRead);
        byte* jump = asm.JumpForward(Condition.NotEqual);
        if (miss.Refill == null)
        {
            asm.Store(true, HostRegisters.CoverAddend(miss.Cover), Reg.Rcx);
        }

        return jump;
    }
}
