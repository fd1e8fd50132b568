using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Loads and stores. The address goes to RAX. At a base register and a constant, as most are, several are looked up together
/// (Translator.Covers.cs). Others look the TLB up inline in nine instructions, about 2 ns where something waits for the load. A miss leaves
/// the whole instruction to the interpreter, before anything has changed.
/// </content>
internal sealed unsafe partial class Translator
{
    // The stack pointer is known to be a multiple of 16: SCTLR_EL1.SA and SA0 have nothing to say.
    private bool _stackAligned;

    // CPACR_EL1.FPEN has been looked at in this stretch of code.
    private bool _fpChecked;

    private void ForgetChecks()
    {
        _stackAligned = false;
        _fpChecked = false;
        _met = FloatConditions.None;
        ForgetCovers();
    }

    private void ForgetStack(int written)
    {
        if (written == CpuState.Sp)
        {
            _stackAligned = false;
        }
    }

    // After Rd = Rn + value.
    private void KeepStack(Op* op, long value)
    {
        if (op->Rd == CpuState.Sp)
        {
            _stackAligned &= op->Rn == CpuState.Sp && value % 16 == 0 && Wide(op);
        }
    }

    private static bool LoadStoreOffset(Translator t, Op* op) => t.LoadStore(op, AddressMode.Offset);

    private static bool LoadStorePreIndex(Translator t, Op* op) => t.LoadStore(op, AddressMode.PreIndex);

    private static bool LoadStorePostIndex(Translator t, Op* op) => t.LoadStore(op, AddressMode.PostIndex);

    private static bool LoadStoreRegister(Translator t, Op* op) => t.LoadStore(op, AddressMode.Register);

    // LDTR, STTR: with the permissions of EL0.
    private static bool LoadStoreUnprivileged(Translator t, Op* op) => t.LoadStore(op, AddressMode.Offset, HostRegisters.TlbUnprivileged);

    private bool LoadStore(Op* op, AddressMode mode) => LoadStore(op, mode, HostRegisters.Tlb);

    private bool LoadStore(Op* op, AddressMode mode, Operand tlb)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.General);
        int opc = (int)(op->Word >> 22) & 3;
        if (mode is AddressMode.PreIndex or AddressMode.PostIndex && op->Rd == op->Rn)
        {
            // CONSTRAINED UNPREDICTABLE: as the interpreter has it.
            return false;
        }

        bool write = BaseAccess.IsStore(op, AccessForm.General);
        Operand place = Access(op, mode, size, write, tlb);
        if (write)
        {
            StoreFrom(place, op->Rd, size);
        }
        else
        {
            LoadInto(op->Rd, place, size, signed: opc >= 2, wide: opc == 2);
        }

        WriteBack(op, mode);
        return true;
    }

    private static bool LoadLiteral(Translator t, Op* op)
    {
        int opc = (int)(op->Word >> 30);
        int size = opc == 1 ? 8 : 4;
        t.LoseHostFlags();
        t._a.Load(true, Rax, HostRegisters.CodePageVa);
        t.AddConstant(Rax, op->Offset + (long)op->Imm);
        Operand place = t.Probe(op, size, write: false);
        t.LoadInto(op->Rd, place, size, signed: opc == 2, wide: true);
        return true;
    }

    private static bool VectorLiteral(Translator t, Op* op)
    {
        int size = 4 << (int)(op->Word >> 30);
        t.CheckFp(op);
        t.LoseHostFlags();
        t._a.Load(true, Rax, HostRegisters.CodePageVa);
        t.AddConstant(Rax, op->Offset + (long)op->Imm);
        t.VectorTransfer(op->Rd, t.Probe(op, size, write: false), size, load: true);
        return true;
    }

    private static bool PairOffset(Translator t, Op* op) => t.Pair(op, AddressMode.Offset);

    private static bool PairPreIndex(Translator t, Op* op) => t.Pair(op, AddressMode.PreIndex);

    private static bool PairPostIndex(Translator t, Op* op) => t.Pair(op, AddressMode.PostIndex);

    private bool Pair(Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.Pair) / 2;
        bool load = !BaseAccess.IsStore(op, AccessForm.Pair);
        bool signed = ((op->Word >> 30) & 1) != 0;
        if ((load && op->Rd == op->Ra) || (mode != AddressMode.Offset && (op->Rd == op->Rn || op->Ra == op->Rn)))
        {
            return false;
        }

        Operand first = Access(op, mode, size * 2, !load);
        Operand second = first with { Displacement = first.Displacement + size };
        if (load)
        {
            LoadInto(op->Rd, first, size, signed, wide: true);
            LoadInto(op->Ra, second, size, signed, wide: true);
        }
        else
        {
            StoreFrom(first, op->Rd, size);
            StoreFrom(second, op->Ra, size);
        }

        WriteBack(op, mode);
        return true;
    }

    private static bool VectorOffset(Translator t, Op* op) => t.Vector(op, AddressMode.Offset);

    private static bool VectorPreIndex(Translator t, Op* op) => t.Vector(op, AddressMode.PreIndex);

    private static bool VectorPostIndex(Translator t, Op* op) => t.Vector(op, AddressMode.PostIndex);

    private static bool VectorRegister(Translator t, Op* op) => t.Vector(op, AddressMode.Register);

    private bool Vector(Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.Vector);
        bool load = !BaseAccess.IsStore(op, AccessForm.Vector);
        CheckFp(op);
        Operand place = Access(op, mode, size, !load);
        VectorTransfer(op->Rd, place, size, load);
        WriteBack(op, mode);
        return true;
    }

    private static bool VectorPairOffset(Translator t, Op* op) => t.VectorPair(op, AddressMode.Offset);

    private static bool VectorPairPreIndex(Translator t, Op* op) => t.VectorPair(op, AddressMode.PreIndex);

    private static bool VectorPairPostIndex(Translator t, Op* op) => t.VectorPair(op, AddressMode.PostIndex);

    private bool VectorPair(Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.VectorPair) / 2;
        bool load = !BaseAccess.IsStore(op, AccessForm.VectorPair);
        if (load && op->Rd == op->Ra)
        {
            return false;
        }

        CheckFp(op);
        Operand place = Access(op, mode, size * 2, !load);
        VectorTransfer(op->Rd, place, size, load);
        VectorTransfer(op->Ra, place with { Displacement = place.Displacement + size }, size, load);
        WriteBack(op, mode);
        return true;
    }

    // A V register's low bytes; a load clears the rest.
    private void VectorTransfer(int register, Operand place, int size, bool load)
    {
        switch (size)
        {
            case 16 when load:
                _a.LoadXmm(Result(register), place);
                break;
            case 16:
                _a.StoreXmm(place, Vec(register));
                break;
            case 8 when load:
                _a.LoadXmm64(Result(register), place);
                break;
            case 8:
                _a.StoreXmm64(place, Vec(register));
                break;
            case 4 when load:
                _a.LoadXmmGeneral(false, Result(register), place);
                break;
            case 4:
                _a.StoreXmm32(place, Vec(register));
                break;
            default:
                if (load)
                {
                    LoadSized(Rdx, place, size, signed: false, wide: false);
                    _a.LoadXmmGeneral(false, Result(register), Rdx);
                }
                else
                {
                    _a.ExtractElement(size - 1, place, Vec(register), 0);
                }

                break;
        }
    }

    // Once in a stretch of code: whether FP and SIMD are enabled. The interpreter takes the trap.
    private void CheckFp(Op* op)
    {
        if (!_fpChecked)
        {
            LoseHostFlags();
            _a.AluImmediate(Alu.Cmp, false, HostRegisters.FpEnabled, 0);
            LeaveIf(Condition.Equal, op);
            _fpChecked = true;
        }
    }

    // RAX = the address; returns the place in host memory.
    private Operand Access(Op* op, AddressMode mode, int size, bool write) => Access(op, mode, size, write, HostRegisters.Tlb);

    private Operand Access(Op* op, AddressMode mode, int size, bool write, Operand tlb)
    {
        if (mode != AddressMode.Register && tlb == HostRegisters.Tlb)
        {
            return AtBase(op, BaseAccess.OffsetOf(op, mode), size, write);
        }

        LoseHostFlags();
        CheckStack(op);
        if (mode == AddressMode.Register)
        {
            Reg index = Rcx;
            if (op->Extra == 3)
            {
                index = In(op->Rm, Rcx);
            }
            else
            {
                Extend(Rcx, op->Rm, op->Extra);
            }

            int shift = op->Shift;
            if (shift > 3)
            {
                _a.Load(true, Rcx, index);
                _a.ShiftImmediate(Shift.Shl, true, Rcx, shift);
                (index, shift) = (Rcx, 0);
            }

            _a.Lea(true, Rax, Operand.At(In(op->Rn, Rax), index, shift));
        }
        else
        {
            Address(op->Rn, (int)op->Imm);
        }

        // Tables are often larger than a page, and then the base register's last page tells nothing. Where the index gives way to what is
        // loaded, as when one look-up leads to the next, something waits for it, and the table is mostly small.
        bool byTlb = tlb != HostRegisters.Tlb || write || op->Rd != op->Rm;
        if (byTlb)
        {
            return Probe(op, size, write, tlb);
        }

        ProbeBase(op, size, size, write, default);
        return Operand.At(Rax, Rcx, 0);
    }

    // RAX = base + offset.
    private void Address(int slot, int offset)
    {
        if (offset == 0)
        {
            Copy(Rax, slot);
        }
        else
        {
            _a.Lea(true, Rax, Operand.At(In(slot, Rax), offset));
        }
    }

    // SCTLR_EL1.SA and SA0.
    private void CheckStack(Op* op)
    {
        if (op->Rn == CpuState.Sp && !_stackAligned)
        {
            _a.TestImmediate(false, HostRegisters.Pin(CpuState.Sp), 15);
            LeaveIf(Condition.NotEqual, op);
            _stackAligned = true;
        }
    }

    // The TLB entry that the base register used last, for the bytes from the address in RAX on: five to seven instructions, and the address
    // of the host waits for none of them. On another page, or where an access may cross pages, the TLB is looked up out of the way; leaves
    // on a miss. RCX = the addend.
    private void ProbeBase(Op* op, int size, int length, bool write, Miss miss)
    {
        ForgetBaseCovers(op->Rn);
        if (length == size && (size <= 8 || (size == 16 && op->Rn == CpuState.Sp && ((long)op->Imm & 15) == 0)))
        {
            // What is not aligned keeps low bits, which no tag has. SP is known to be aligned, so that this is for wrong programs only.
            _a.Load(true, Rdx, Rax);
            _a.AluImmediate(Alu.And, true, Rdx, -4096 | (size - 1));
        }
        else
        {
            // Vectors and pairs are often aligned to less than their size. What crosses pages is compared by its address, which then is no
            // tag.
            PageOfLast(length);
            _a.Alu(Alu.Cmp, true, Rax, Rdx);
            _a.ConditionalMove(Condition.Sign, true, Rdx, Rax);
        }

        _a.Alu(Alu.Cmp, true, Rdx, HostRegisters.BaseTag(op->Rn, write));
        nint displacement = (nint)_a.JumpForward(Condition.NotEqual);
        _a.Load(true, Rcx, HostRegisters.BaseAddend(op->Rn));
        byte* refill = (write ? cache.Thunks.RefillWrite : cache.Thunks.RefillRead)[HostRegisters.BaseIndex(op->Rn)];
        LeaveAt(displacement, op, ExitReason.TlbMiss, miss with { Refill = (nint)refill, Back = (nint)_a.Position, Length = length });
    }

    // RDX = the page of the last byte of an access to RAX.
    private void PageOfLast(int size)
    {
        if (size == 1)
        {
            _a.Load(true, Rdx, Rax);
        }
        else
        {
            _a.Lea(true, Rdx, Operand.At(Rax, size - 1));
        }

        _a.AluImmediate(Alu.And, true, Rdx, -4096);
    }

    // The TLB entry of the address in RAX; leaves on a miss.
    private Operand Probe(Op* op, int size, bool write) => Probe(op, size, write, HostRegisters.Tlb);

    private Operand Probe(Op* op, int size, bool write, Operand tlb)
    {
        Probe(op, size, write, tlb, default);
        if (write && lockstep)
        {
            LogStore(size);
        }

        return Operand.At(Rax, Rcx, 0);
    }

    // The same of the bytes from RAX on; RCX = the addend.
    private void Probe(Op* op, int length, bool write, Operand tlb, Miss miss)
    {
        _a.Load(false, Rcx, Rax);
        _a.ShiftImmediate(Shift.Shr, false, Rcx, 7);
        _a.AluImmediate(Alu.And, false, Rcx, (TlbEntry.Count - 1) << 5);
        _a.Alu(Alu.Add, true, Rcx, tlb);
        PageOfLast(length);
        _a.Alu(Alu.Cmp, true, Rdx, Operand.At(Rcx, write ? TlbEntry.WriteTagOffset : TlbEntry.ReadTagOffset));
        LeaveAt((nint)_a.JumpForward(Condition.NotEqual), op, ExitReason.TlbMiss, miss with { Length = length });
        _a.Load(true, Rcx, Operand.At(Rcx, TlbEntry.AddendOffset));
    }

    private void LoadInto(int slot, Operand place, int size, bool signed, bool wide)
    {
        Reg target = Target(slot, Rdx);
        LoadSized(target, place, size, signed, wide);
        Out(slot, target);
        ForgetStack(slot);
    }

    private void LoadSized(Reg target, Operand place, int size, bool signed, bool wide)
    {
        switch (size, signed)
        {
            case (1, false):
                _a.ZeroExtend8(target, place);
                break;
            case (2, false):
                _a.ZeroExtend16(target, place);
                break;
            case (1, true):
                _a.SignExtend8(wide, target, place);
                break;
            case (2, true):
                _a.SignExtend16(wide, target, place);
                break;
            case (4, true) when wide:
                _a.SignExtend32(target, place);
                break;
            default:
                _a.Load(size == 8, target, place);
                break;
        }
    }

    private void StoreFrom(Operand place, int slot, int size) => StoreSized(place, In(slot, Rdx), size);

    private void StoreSized(Operand place, Reg source, int size)
    {
        switch (size)
        {
            case 1:
                _a.Store8(place, source);
                break;
            case 2:
                _a.Store16(place, source);
                break;
            default:
                _a.Store(size == 8, place, source);
                break;
        }
    }

    private void WriteBack(Op* op, AddressMode mode)
    {
        if (mode is not (AddressMode.PreIndex or AddressMode.PostIndex))
        {
            return;
        }

        Reg target = Target(op->Rn, Rax);
        _a.Lea(true, target, Operand.At(In(op->Rn, Rax), (int)op->Imm));
        Out(op->Rn, target);
        if (op->Rn == CpuState.Sp && (op->Imm & 15) != 0)
        {
            _stackAligned = false;
        }
    }
}
