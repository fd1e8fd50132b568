using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Data processing with an immediate operand: additions, logic, constants, addresses, bit fields. Where flags are wanted behind an
/// instruction that sets none, it is made of host instructions that leave EFLAGS alone, if there are such.
/// </summary>
internal static unsafe class IntegerImmediateEmitters
{
    // ---- Addition and subtraction ----

    public static bool AddImmediate(BlockEmitter e, Op* op) => AddConstantTo(e, op, (int)op->Imm);

    public static bool SubImmediate(BlockEmitter e, Op* op) => AddConstantTo(e, op, -(int)op->Imm);

    // One LEA, which leaves EFLAGS alone.
    private static bool AddConstantTo(BlockEmitter e, Op* op, int value)
    {
        e.Cover.NoteAddition(op, value);
        Reg target = Target(op->Rd, Rax);
        Reg source = e.Registers.In(op->Rn, Rax);
        if (value != 0)
        {
            e.Asm.Lea(IsWide(op), target, Operand.At(source, value));
        }
        else if (target != source || !IsWide(op))
        {
            e.Asm.Load(IsWide(op), target, source);
        }

        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool AddsImmediate(BlockEmitter e, Op* op)
    {
        e.Registers.BinaryImmediate(Alu.Add, IsWide(op), op->Rd, op->Rn, (int)op->Imm);
        e.Flags.Set(borrow: false);
        return true;
    }

    public static bool SubsImmediate(BlockEmitter e, Op* op)
    {
        if (op->Rd == CpuState.Sink)
        {
            e.Asm.AluImmediate(Alu.Cmp, IsWide(op), Place(op->Rn), (int)op->Imm);
        }
        else
        {
            e.Registers.BinaryImmediate(Alu.Sub, IsWide(op), op->Rd, op->Rn, (int)op->Imm);
        }

        e.Flags.Set(borrow: true);
        return true;
    }

    // ---- Logic ----

    public static bool AndImmediate(BlockEmitter e, Op* op) => LogicImmediate(e, op, Alu.And);

    public static bool OrrImmediate(BlockEmitter e, Op* op) => LogicImmediate(e, op, Alu.Or);

    public static bool EorImmediate(BlockEmitter e, Op* op) => LogicImmediate(e, op, Alu.Xor);

    private static bool LogicImmediate(BlockEmitter e, Op* op, Alu operation)
    {
        bool wide = IsWide(op);
        if (operation == Alu.Or && op->Rn == CpuState.Zr)
        {
            Move(e, op->Rd, op->Imm);
            return true;
        }

        e.Flags.GiveUp();
        LogicConstant(e, op, operation, wide);
        e.Cover.NoteWrite(op->Rd);
        return true;
    }

    private static void LogicConstant(BlockEmitter e, Op* op, Alu operation, bool wide)
    {
        if (!wide || (long)op->Imm == (int)op->Imm)
        {
            e.Registers.BinaryImmediate(operation, wide, op->Rd, op->Rn, (int)op->Imm);
        }
        else
        {
            e.Asm.LoadImmediate(Rcx, op->Imm);
            e.Registers.Binary(operation, true, op->Rd, op->Rn, Rcx);
        }
    }

    public static bool AndsImmediate(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        if (op->Rd == CpuState.Sink && (!wide || (long)op->Imm == (int)op->Imm))
        {
            e.Asm.TestImmediate(wide, Place(op->Rn), (int)op->Imm);
        }
        else
        {
            LogicConstant(e, op, Alu.And, wide);
        }

        e.Flags.Set(borrow: false);
        return true;
    }

    // ---- Constants ----

    public static bool MoveZero(BlockEmitter e, Op* op) => MoveUnlessKept(e, op, op->Imm);

    public static bool MoveNot(BlockEmitter e, Op* op) => MoveUnlessKept(e, op, MovedNot(op));

    public static bool MoveKeep(BlockEmitter e, Op* op)
    {
        if (e.Index > 0 && TryMade(e, e.Index, out ulong value))
        {
            return MoveUnlessKept(e, op, value);
        }

        e.Flags.GiveUp();
        e.Registers.Copy(Rax, op->Rd == CpuState.Sink ? CpuState.Zr : op->Rd, IsWide(op));
        e.Asm.LoadImmediate(Rcx, IsWide(op) ? Hole(op) : (uint)Hole(op));
        e.Asm.Alu(Alu.And, true, Rax, Rcx);
        e.Asm.LoadImmediate(Rcx, op->Imm);
        e.Asm.Alu(Alu.Or, true, Rax, Rcx);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // A constant is often made in several steps, MOVZ or MOVN and then MOVKs. Nobody can see what it is before the last of them, so only
    // the last has code.
    private static bool MoveUnlessKept(BlockEmitter e, Op* op, ulong value)
    {
        if (!IsKept(e, e.Index))
        {
            Move(e, op->Rd, value);
        }

        return true;
    }

    // Whether the instruction behind one is a MOVK that goes on with its register.
    private static bool IsKept(BlockEmitter e, int index)
    {
        int next = index + 1;
        if (next >= e.Plan.Length || e.Plan.IsLabel(next))
        {
            return false;
        }

        Op* op = e.Plan.At(index);
        Op* keep = e.Plan.At(next);
        return keep->IsAllocated && OperationOf(keep) == Operation.Movk && keep->Rd == op->Rd && IsWide(keep) == IsWide(op);
    }

    // The constant that a MOVZ, MOVN or MOVK makes, with those before it that have no code of their own. False for a MOVK that does not go
    // on with a constant.
    private static bool TryMade(BlockEmitter e, int index, out ulong value)
    {
        Op* op = e.Plan.At(index);
        value = 0;
        switch (op->IsAllocated ? OperationOf(op) : Operation.None)
        {
            case Operation.Movz:
                value = op->Imm;
                return true;
            case Operation.Movn:
                value = MovedNot(op);
                return true;
            case Operation.Movk when index > 0 && IsKept(e, index - 1) && TryMade(e, index - 1, out ulong before):
                value = (before & Hole(op)) | op->Imm;
                return true;
            default:
                return false;
        }
    }

    private static Operation OperationOf(Op* op) => EncodingTable.Rows[op->Row].Operation;

    private static ulong MovedNot(Op* op) => IsWide(op) ? ~op->Imm : (uint)~op->Imm;

    // All bits but those that a MOVK writes.
    private static ulong Hole(Op* op) => ~(0xFFFFul << op->Shift);

    private static void Move(BlockEmitter e, int slot, ulong value)
    {
        e.Cover.NoteWrite(slot);
        Reg pin = HostRegisters.Pin(slot);
        if (pin == Reg.None && slot != CpuState.Sink && (long)value == (int)value)
        {
            e.Asm.StoreImmediate(true, HostRegisters.Slot(slot), (int)value);
            return;
        }

        e.Asm.LoadImmediate(Target(slot, Rax), value);
        e.Registers.Out(slot, Target(slot, Rax));
    }

    public static bool Adr(BlockEmitter e, Op* op) => PcRelative(e, op, op->Offset + (long)op->Imm);

    public static bool Adrp(BlockEmitter e, Op* op) => PcRelative(e, op, (long)op->Imm);

    private static bool PcRelative(BlockEmitter e, Op* op, long displacement)
    {
        e.Asm.Load(true, Rax, HostRegisters.CodePageVa);
        e.Registers.AddConstant(Rax, displacement);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // ---- Bit fields ----

    public static bool UnsignedBitfield(BlockEmitter e, Op* op) => Bitfield(e, op, signed: false);

    public static bool SignedBitfield(BlockEmitter e, Op* op) => Bitfield(e, op, signed: true);

    private static bool Bitfield(BlockEmitter e, Op* op, bool signed)
    {
        bool wide = IsWide(op);
        Reg target = Target(op->Rd, Rax);
        int low = op->Extra;
        int high = op->Shift;
        if (low == 0 && high is 7 or 15 or 31 && !(high == 31 && !wide))
        {
            // UXTB, UXTH, SXTB, SXTH, SXTW: EFLAGS stays.
            e.Registers.Extend(target, op->Rn, (high == 7 ? 0 : high == 15 ? 1 : 2) + (signed ? 4 : 0));
            if (signed && !wide)
            {
                e.Asm.Load(false, target, target);
            }

            e.Registers.Out(op->Rd, target);
            return true;
        }

        e.Flags.GiveUp();
        InsertField(e, Rax, op, wide, signed);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // The field of Rn at its place in the result. The bits above it are zero or its sign; those below it are zero.
    private static void InsertField(BlockEmitter e, Reg into, Op* op, bool wide, bool signed)
    {
        int top = wide ? 63 : 31;
        int low = op->Extra;
        int high = op->Shift;
        e.Registers.Copy(into, op->Rn, wide);
        int left = top - high;
        int right = high >= low ? left + low : left - (top + 1 - low);
        if (left != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shl, wide, into, left);
        }

        if (right != 0)
        {
            e.Asm.ShiftImmediate(signed ? Shift.Sar : Shift.Shr, wide, into, right);
        }
    }

    public static bool BitfieldMove(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        int top = wide ? 63 : 31;
        int low = op->Extra;
        int high = op->Shift;
        int width = high >= low ? high - low + 1 : high + 1;
        int at = high >= low ? 0 : top + 1 - low;
        ulong field = (width == 64 ? ulong.MaxValue : (1ul << width) - 1) << at;
        e.Flags.GiveUp();
        InsertField(e, Rax, op, wide, signed: false);
        e.Asm.LoadImmediate(Rcx, wide ? ~field : (uint)~field);
        e.Asm.Alu(Alu.And, wide, Rcx, Place(op->Rd == CpuState.Sink ? CpuState.Zr : op->Rd));
        e.Asm.Alu(Alu.Or, wide, Rax, Rcx);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    public static bool Extract(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        if (op->Rn == op->Rm)
        {
            // ROR (immediate): EFLAGS stays.
            Reg target = Target(op->Rd, Rax);
            e.Asm.RotateRight(wide, target, Place(op->Rn), op->Shift);
            e.Registers.Out(op->Rd, target);
            return true;
        }

        e.Flags.GiveUp();
        e.Registers.Copy(Rax, op->Rm, wide);
        if (op->Shift != 0)
        {
            e.Asm.ShiftRightDouble(wide, Rax, e.Registers.In(op->Rn, Rcx), op->Shift);
        }

        e.Registers.Out(op->Rd, Rax);
        return true;
    }
}
