using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Loads and stores of general and V registers, one or two. Those at a base register and a constant, as most are, go through
/// <see cref="AddressCover"/>; the others look the TLB up by themselves.
/// </summary>
internal static unsafe class LoadStoreEmitters
{
    public static bool LoadStoreOffset(BlockEmitter e, Op* op) => LoadStore(e, op, AddressMode.Offset);

    public static bool LoadStorePreIndex(BlockEmitter e, Op* op) => LoadStore(e, op, AddressMode.PreIndex);

    public static bool LoadStorePostIndex(BlockEmitter e, Op* op) => LoadStore(e, op, AddressMode.PostIndex);

    public static bool LoadStoreRegister(BlockEmitter e, Op* op) => LoadStore(e, op, AddressMode.Register);

    // LDTR, STTR: with the permissions of EL0.
    public static bool LoadStoreUnprivileged(BlockEmitter e, Op* op) => LoadStore(e, op, AddressMode.Offset, HostRegisters.TlbUnprivileged);

    private static bool LoadStore(BlockEmitter e, Op* op, AddressMode mode) => LoadStore(e, op, mode, HostRegisters.Tlb);

    private static bool LoadStore(BlockEmitter e, Op* op, AddressMode mode, Operand tlb)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.General);
        int opc = (int)(op->Word >> 22) & 3;
        if (mode is AddressMode.PreIndex or AddressMode.PostIndex && op->Rd == op->Rn)
        {
            // CONSTRAINED UNPREDICTABLE: the interpreter decides.
            return false;
        }

        bool write = BaseAccess.IsStore(op, AccessForm.General);
        Operand place = Access(e, op, mode, size, write, tlb);
        if (write)
        {
            StoreFrom(e, place, op->Rd, size);
        }
        else
        {
            LoadInto(e, op->Rd, place, size, signed: opc >= 2, wide: opc == 2);
        }

        WriteBack(e, op, mode);
        return true;
    }

    public static bool LoadLiteral(BlockEmitter e, Op* op)
    {
        int opc = (int)(op->Word >> 30);
        int size = opc == 1 ? 8 : 4;
        e.Flags.GiveUp();
        e.Asm.Load(true, Rax, HostRegisters.CodePageVa);
        e.Registers.AddConstant(Rax, op->Offset + (long)op->Imm);
        Operand place = e.Tlb.Probe(op, size, write: false);
        LoadInto(e, op->Rd, place, size, signed: opc == 2, wide: true);
        return true;
    }

    public static bool VectorLiteral(BlockEmitter e, Op* op)
    {
        int size = 4 << (int)(op->Word >> 30);
        e.Floats.CheckEnabled(op);
        e.Flags.GiveUp();
        e.Asm.Load(true, Rax, HostRegisters.CodePageVa);
        e.Registers.AddConstant(Rax, op->Offset + (long)op->Imm);
        SimdSequences.VectorTransfer(e, op->Rd, e.Tlb.Probe(op, size, write: false), size, load: true);
        return true;
    }

    public static bool PairOffset(BlockEmitter e, Op* op) => Pair(e, op, AddressMode.Offset);

    public static bool PairPreIndex(BlockEmitter e, Op* op) => Pair(e, op, AddressMode.PreIndex);

    public static bool PairPostIndex(BlockEmitter e, Op* op) => Pair(e, op, AddressMode.PostIndex);

    private static bool Pair(BlockEmitter e, Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.Pair) / 2;
        bool load = !BaseAccess.IsStore(op, AccessForm.Pair);
        bool signed = ((op->Word >> 30) & 1) != 0;
        if ((load && op->Rd == op->Ra) || (mode != AddressMode.Offset && (op->Rd == op->Rn || op->Ra == op->Rn)))
        {
            return false;
        }

        Operand first = Access(e, op, mode, size * 2, !load);
        Operand second = first with { Displacement = first.Displacement + size };
        if (e.Model.HasLse2 && !MovesFrame(op, mode))
        {
            PairAtOnce(e, op, first, size, load, signed);
        }
        else if (load)
        {
            LoadInto(e, op->Rd, first, size, signed, wide: true);
            LoadInto(e, op->Ra, second, size, signed, wide: true);
        }
        else
        {
            StoreFrom(e, first, op->Rd, size);
            StoreFrom(e, second, op->Ra, size);
        }

        WriteBack(e, op, mode);
        return true;
    }

    // Whether a pair is stored to a frame that the instruction makes, or loaded from one that it gives up. Nobody else may look at that
    // memory, so the pair is two accesses: a return address that has been through a vector register costs a fifth of a program that calls
    // much.
    private static bool MovesFrame(Op* op, AddressMode mode) =>
        op->Rn == CpuState.Sp && mode is AddressMode.PreIndex or AddressMode.PostIndex;

    // FEAT_LSE2: an aligned pair is accessed at once, through XMM0. The host's flags stay.
    private static void PairAtOnce(BlockEmitter e, Op* op, Operand place, int size, bool load, bool signed)
    {
        if (load && size == 8)
        {
            LoadDoublewords(e, op, place);
        }
        else if (load)
        {
            e.Asm.LoadXmm64(0, place);
            GiveWord(e, op->Rd, 0, signed);
            GiveWord(e, op->Ra, 1, signed);
        }
        else
        {
            e.Asm.LoadXmmGeneral(size == 8, 0, Place(op->Rd));
            e.Asm.InsertElement(size == 8 ? 3 : 2, 0, 0, Place(op->Ra), 1);
            if (size == 8)
            {
                e.Asm.StoreXmm(place, 0);
            }
            else
            {
                e.Asm.StoreXmm64(place, 0);
            }
        }
    }

    private static void LoadDoublewords(BlockEmitter e, Op* op, Operand place)
    {
        e.Asm.LoadXmm(0, place);
        Reg first = HostRegisters.Pin(op->Rd);
        Reg second = HostRegisters.Pin(op->Ra);
        if (op->Ra == op->Rd + 1 && first == None && second == None)
        {
            e.Asm.StoreXmm(HostRegisters.Slot(op->Rd), 0);
        }
        else
        {
            if (first != None)
            {
                e.Asm.StoreXmmGeneral(true, first, 0);
            }
            else
            {
                e.Asm.StoreXmm64(HostRegisters.Slot(op->Rd), 0);
            }

            if (second != None)
            {
                e.Asm.ExtractElement(3, second, 0, 1);
            }
            else
            {
                e.Asm.StoreXmmHigh(HostRegisters.Slot(op->Ra), 0);
            }
        }

        e.Cover.NoteWrite(op->Rd);
        e.Cover.NoteWrite(op->Ra);
    }

    private static void GiveWord(BlockEmitter e, int slot, int element, bool signed)
    {
        Reg target = Target(slot, Rdx);
        e.Asm.ExtractElement(2, target, 0, element);
        if (signed)
        {
            e.Asm.SignExtend32(target, target);
        }

        e.Registers.Out(slot, target);
        e.Cover.NoteWrite(slot);
    }

    public static bool VectorOffset(BlockEmitter e, Op* op) => Vector(e, op, AddressMode.Offset);

    public static bool VectorPreIndex(BlockEmitter e, Op* op) => Vector(e, op, AddressMode.PreIndex);

    public static bool VectorPostIndex(BlockEmitter e, Op* op) => Vector(e, op, AddressMode.PostIndex);

    public static bool VectorRegister(BlockEmitter e, Op* op) => Vector(e, op, AddressMode.Register);

    private static bool Vector(BlockEmitter e, Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.Vector);
        bool load = !BaseAccess.IsStore(op, AccessForm.Vector);
        e.Floats.CheckEnabled(op);
        Operand place = Access(e, op, mode, size, !load);
        SimdSequences.VectorTransfer(e, op->Rd, place, size, load);
        WriteBack(e, op, mode);
        return true;
    }

    public static bool VectorPairOffset(BlockEmitter e, Op* op) => VectorPair(e, op, AddressMode.Offset);

    public static bool VectorPairPreIndex(BlockEmitter e, Op* op) => VectorPair(e, op, AddressMode.PreIndex);

    public static bool VectorPairPostIndex(BlockEmitter e, Op* op) => VectorPair(e, op, AddressMode.PostIndex);

    private static bool VectorPair(BlockEmitter e, Op* op, AddressMode mode)
    {
        int size = BaseAccess.SizeOf(op, AccessForm.VectorPair) / 2;
        bool load = !BaseAccess.IsStore(op, AccessForm.VectorPair);
        if (load && op->Rd == op->Ra)
        {
            return false;
        }

        e.Floats.CheckEnabled(op);
        Operand place = Access(e, op, mode, size * 2, !load);
        SimdSequences.VectorTransfer(e, op->Rd, place, size, load);
        SimdSequences.VectorTransfer(e, op->Ra, place with { Displacement = place.Displacement + size }, size, load);
        WriteBack(e, op, mode);
        return true;
    }

    // Looks up the bytes that an instruction accesses. Returns their place in host memory. Uses RAX, RCX and RDX.
    private static Operand Access(BlockEmitter e, Op* op, AddressMode mode, int size, bool write) =>
        Access(e, op, mode, size, write, HostRegisters.Tlb);

    private static Operand Access(BlockEmitter e, Op* op, AddressMode mode, int size, bool write, Operand tlb)
    {
        if (mode != AddressMode.Register && tlb == HostRegisters.Tlb)
        {
            return e.Cover.At(op, BaseAccess.OffsetOf(op, mode), size, write);
        }

        e.Flags.GiveUp();
        e.Cover.CheckStack(op);
        if (mode == AddressMode.Register)
        {
            Reg index = Rcx;
            if (op->Extra == 3)
            {
                index = e.Registers.In(op->Rm, Rcx);
            }
            else
            {
                e.Registers.Extend(Rcx, op->Rm, op->Extra);
            }

            int shift = op->Shift;
            if (shift > 3)
            {
                e.Asm.Load(true, Rcx, index);
                e.Asm.ShiftImmediate(Shift.Shl, true, Rcx, shift);
                (index, shift) = (Rcx, 0);
            }

            e.Asm.Lea(true, Rax, Operand.At(e.Registers.In(op->Rn, Rax), index, shift));
        }
        else
        {
            e.Registers.Address(op->Rn, (int)op->Imm);
        }

        // A table is often larger than a page, and then the page that its base register used last is of no help. But where the loaded value
        // replaces the index, one load often waits for another, and such a table is mostly small.
        bool byTlb = tlb != HostRegisters.Tlb || write || op->Rd != op->Rm;
        if (byTlb)
        {
            return e.Tlb.Probe(op, size, write, tlb);
        }

        e.Cover.ProbeBase(op, size, size, write, default);
        return Operand.At(Rax, Rcx, 0);
    }

    public static void LoadInto(BlockEmitter e, int slot, Operand place, int size, bool signed, bool wide)
    {
        Reg target = Target(slot, Rdx);
        e.Asm.LoadSized(target, place, size, signed, wide);
        e.Registers.Out(slot, target);
        e.Cover.NoteWrite(slot);
    }

    private static void StoreFrom(BlockEmitter e, Operand place, int slot, int size) =>
        e.Asm.StoreSized(place, e.Registers.In(slot, Rdx), size);

    private static void WriteBack(BlockEmitter e, Op* op, AddressMode mode)
    {
        if (mode is not (AddressMode.PreIndex or AddressMode.PostIndex))
        {
            return;
        }

        Reg target = Target(op->Rn, Rax);
        e.Asm.Lea(true, target, Operand.At(e.Registers.In(op->Rn, Rax), (int)op->Imm));
        e.Registers.Out(op->Rn, target);
        e.Cover.NoteWriteBack(op);
    }
}
