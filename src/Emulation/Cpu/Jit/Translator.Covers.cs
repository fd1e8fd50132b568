using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Loads and stores at a base register and a constant. The first of those that follow each other at one base register, the leader, looks up
/// the translation of all their bytes; the others then are one host instruction, behind a load of the addend where it is not in RCX still.
/// At SP and in loops a leader compares the page that its base register used last, in five to seven instructions for which the address of
/// the host does not wait; elsewhere that page is another half of the time, and it looks the TLB up, in nine. Where the bytes lie in two
/// pages the code goes on in a block of its own that checks each access for itself.
/// <para>A cover holds while the register keeps its value, or moves by a constant, and translations stay as they are: up to a label, or an
/// instruction for the interpreter that changes them (<see cref="ExitInfo.Relies"/>). After whatever exit of a leader its cover is looked
/// up again.</para>
/// </content>
internal sealed unsafe partial class Translator
{
    private const int NoCover = -1;

    // The bytes from base + From up to base + To; none where these are equal. The addend is that of the base register's last page, or in
    // CoverAddend.
    private record struct Cover(int From, int To, bool InBase);

    // What to do about a miss before the instruction is left to the interpreter, and after. Refill: the thunk that looks the TLB up, and
    // Back, where the code then goes on. Together: several accesses are checked, which may lie in two pages. Kept: what follows relies on
    // the check; Slot and From say of which bytes, Cover where the addend goes.
    private readonly record struct Miss(nint Refill, nint Back, int Length, bool Together, bool Kept, int Slot, int From, int Cover);

    // By CoverIndex; and the set of those that are not empty.
    private readonly Cover[] _covers = new Cover[2 * CpuState.Bases];
    private ulong _covered;

    // The cover that this instruction has used, and the one whose addend is in RCX while no code has been emitted since.
    private int _accessed;
    private int _addendOf;
    private byte* _addendAt;

    // Each access is checked for itself.
    private bool _apart;

    private static int CoverIndex(int slot, bool write) => HostRegisters.BaseIndex(slot) + (write ? CpuState.Bases : 0);

    private static int SlotOf(int index) => index % CpuState.Bases == CpuState.Bases - 1 ? CpuState.Sp : index % CpuState.Bases;

    private void ForgetCovers() => _covered = 0;

    private void ForgetCover(int index) => _covered &= ~(1UL << index);

    // The page that the base register used last may become another.
    private void ForgetBaseCovers(int slot)
    {
        foreach (bool write in (ReadOnlySpan<bool>)[false, true])
        {
            int index = CoverIndex(slot, write);
            if (_covers[index].InBase)
            {
                ForgetCover(index);
            }
        }
    }

    // Behind an instruction: covers move with their base registers, or end.
    private void KeepCovers(Op* op)
    {
        for (ulong rest = _covered; rest != 0; rest &= rest - 1)
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
                ForgetCover(index);
            }
        }

        // Where the interpreter comes back to this place RCX is not what it was, unless a leader's way back has made it so.
        if (_accessed != NoCover && (_covered & (1UL << _accessed)) != 0 && (_rare.Count == 0 || Led().Kept))
        {
            _addendOf = _accessed;
            _addendAt = _a.Position;
        }
    }

    // What an instruction has looked up for others: whichever way it was left, it is to be looked up when it comes back.
    private Miss Led()
    {
        for (int i = 0; i < _rare.Count; i++)
        {
            if (_rare[i].Miss.Kept)
            {
                return _rare[i].Miss;
            }
        }

        return default;
    }

    // The place in host memory of an access at base + offset.
    private Operand AtBase(Op* op, int offset, int size, bool write)
    {
        int index = CoverIndex(op->Rn, write);
        Cover cover = _covers[index];
        bool covered = (_covered & (1UL << index)) != 0 && offset >= cover.From && offset + size <= cover.To;
        if (covered && (op->Rn != CpuState.Sp || _stackAligned))
        {
            return Covered(op, offset, size, write, index);
        }

        LoseHostFlags();
        CheckStack(op);
        return Lead(op, offset, size, write, index);
    }

    private Operand Covered(Op* op, int offset, int size, bool write, int index)
    {
        if (_addendOf != index || _addendAt != _a.Position)
        {
            _a.Load(true, Rcx, _covers[index].InBase ? HostRegisters.BaseAddend(op->Rn) : HostRegisters.CoverAddend(index));
        }

        _accessed = index;
        if (write && lockstep)
        {
            Address(op->Rn, offset);
            LogStore(size);
            return Operand.At(Rax, Rcx, 0);
        }

        // The first register of a pair may be the base.
        bool keeps = BaseAccess.Of(op).Form == AccessForm.Pair && op->Rd == op->Rn;
        if (keeps)
        {
            Copy(Rax, op->Rn);
        }

        return Operand.At(keeps ? Rax : In(op->Rn, Rax), Rcx, 0, offset);
    }

    private Operand Lead(Op* op, int offset, int size, bool write, int index)
    {
        (int from, int to) = (offset, offset + size);
        bool keep = !_apart && _plan.Reach(_index, write, ref from, ref to);
        int length = to - from;
        bool inBase = op->Rn == CpuState.Sp || _plan.IsInLoop(_index);
        int by = OpEffects.MayWrite(op, op->Rn) && BaseAccess.Moves(op, op->Rn, out int moved) ? moved : 0;
        var miss = new Miss(0, 0, length, Together: length > size, keep, op->Rn, from - by, index);
        Address(op->Rn, from);
        if (inBase)
        {
            ProbeBase(op, size, length, write, miss);
        }
        else
        {
            Probe(op, length, write, HostRegisters.Tlb, miss);
        }

        if (keep)
        {
            _covers[index] = new Cover(from, to, inBase);
            _covered |= 1UL << index;
            _accessed = index;
            if (!inBase)
            {
                _a.Store(true, HostRegisters.CoverAddend(index), Rcx);
            }
        }

        if (!write || !lockstep)
        {
            return Operand.At(Rax, Rcx, 0, offset - from);
        }

        if (offset != from)
        {
            Address(op->Rn, offset);
        }

        LogStore(size);
        return Operand.At(Rax, Rcx, 0);
    }

    // ---- Out of the way ----

    // On a miss, RAX = the first byte: goes back where the TLB knows the page. Returns the jump of bytes that lie in two pages, or null.
    private byte* LookUpAgain(in Miss miss)
    {
        byte* apart = null;
        if (miss.Length == 0)
        {
            return null;
        }

        if (miss.Refill != 0)
        {
            PageOfLast(miss.Length);
        }

        if (miss.Together)
        {
            _a.Load(true, Rcx, Rax);
            _a.Alu(Alu.Xor, true, Rcx, Rdx);
            _a.ShiftImmediate(Shift.Shr, true, Rcx, 12);
            apart = _a.JumpForward(Condition.NotEqual);
        }

        if (miss.Refill != 0)
        {
            _a.Call((byte*)miss.Refill);
            _a.Jump(Condition.Equal, (byte*)miss.Back);
        }

        return apart;
    }

    // Behind a leader that the interpreter has executed; returns the jump where the TLB does not know the page now, as of a device, or null
    // where nothing relies on it.
    private byte* CoverAgain(in Miss miss)
    {
        if (!miss.Kept)
        {
            return null;
        }

        bool write = miss.Cover >= CpuState.Bases;
        Address(miss.Slot, miss.From);
        PageOfLast(miss.Length);
        _a.Call(miss.Refill != 0 ? (byte*)miss.Refill : write ? cache.Thunks.LookUpWrite : cache.Thunks.LookUpRead);
        byte* displacement = _a.JumpForward(Condition.NotEqual);
        if (miss.Refill == 0)
        {
            _a.Store(true, HostRegisters.CoverAddend(miss.Cover), Rcx);
        }

        return displacement;
    }

    // Goes on at the leader in a block that checks each access for itself.
    private void GoApart(in Stub stub, byte* displacement)
    {
        _a.Bind(displacement);
        SettleState(stub);
        if (stub.Count > 0)
        {
            _a.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, stub.Count);
        }

        _a.AlignDisplacement(1);
        byte* jump = _a.JumpForward();
        _a.Bind(jump);
        _a.Call(cache.Thunks.LeaveForApart);
        Say(new Stub(ExitKind.Apart, 0, stub.Op, 0, 0), (nint)jump);
    }
}
