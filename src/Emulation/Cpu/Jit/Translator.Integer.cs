using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Data processing on general registers.</content>
internal sealed unsafe partial class Translator
{
    private static bool Wide(Op* op) => op->Word >> 31 != 0;

    // ---- Addition and subtraction ----

    private static bool AddImmediate(Translator t, Op* op) => t.AddConstantTo(op, (int)op->Imm);

    private static bool SubImmediate(Translator t, Op* op) => t.AddConstantTo(op, -(int)op->Imm);

    // LEA: one instruction, flags stay.
    private bool AddConstantTo(Op* op, int value)
    {
        KeepStack(op, value);
        Reg target = Target(op->Rd, Rax);
        Reg source = In(op->Rn, Rax);
        if (value != 0)
        {
            _a.Lea(Wide(op), target, Operand.At(source, value));
        }
        else if (target != source || !Wide(op))
        {
            _a.Load(Wide(op), target, source);
        }

        Out(op->Rd, target);
        return true;
    }

    private static bool AddsImmediate(Translator t, Op* op)
    {
        t.BinaryImmediate(Alu.Add, Wide(op), op->Rd, op->Rn, (int)op->Imm);
        t.FlagsSet(borrow: false);
        return true;
    }

    private static bool SubsImmediate(Translator t, Op* op)
    {
        if (op->Rd == CpuState.Sink)
        {
            t._a.AluImmediate(Alu.Cmp, Wide(op), Place(op->Rn), (int)op->Imm);
        }
        else
        {
            t.BinaryImmediate(Alu.Sub, Wide(op), op->Rd, op->Rn, (int)op->Imm);
        }

        t.FlagsSet(borrow: true);
        return true;
    }

    private static bool AddRegister(Translator t, Op* op)
    {
        bool wide = Wide(op);
        if (op->Shift != 0 && !(op->Extra == 0 && op->Shift <= 3))
        {
            t.LoseHostFlags();
            if (!t.ShiftInPlace(op, Alu.Add))
            {
                t.Binary(Alu.Add, wide, op->Rd, op->Rn, t.Shifted(op, wide));
            }

            return true;
        }

        // LEA: a left shift of up to 3 is free, and flags stay.
        Reg left = t.In(op->Rn, Rax);
        Reg index = t.In(op->Rm, Rcx);
        Reg target = Target(op->Rd, Rax);
        t._a.Lea(wide, target, Operand.At(left, index, op->Shift));
        t.Out(op->Rd, target);
        return true;
    }

    private static bool SubRegister(Translator t, Op* op)
    {
        t.LoseHostFlags();
        bool wide = Wide(op);
        if (op->Rn == CpuState.Zr)
        {
            t._a.Load(wide, Rcx, t.Shifted(op, wide));
            t._a.Negate(wide, Rcx);
            t._a.Load(wide, Target(op->Rd, Rax), Rcx);
            t.Out(op->Rd, Target(op->Rd, Rax));
            return true;
        }

        t.Binary(Alu.Sub, wide, op->Rd, op->Rn, t.Shifted(op, wide));
        return true;
    }

    private static bool AddsRegister(Translator t, Op* op)
    {
        t.Binary(Alu.Add, Wide(op), op->Rd, op->Rn, t.Shifted(op, Wide(op)));
        t.FlagsSet(borrow: false);
        return true;
    }

    private static bool SubsRegister(Translator t, Op* op)
    {
        t.Subs(op, t.Shifted(op, Wide(op)));
        return true;
    }

    private void Subs(Op* op, Operand right)
    {
        if (op->Rd == CpuState.Sink)
        {
            _a.Alu(Alu.Cmp, Wide(op), In(op->Rn, Rax), right);
        }
        else
        {
            Binary(Alu.Sub, Wide(op), op->Rd, op->Rn, right);
        }

        FlagsSet(borrow: true);
    }

    private static bool AddExtended(Translator t, Op* op)
    {
        t.LoseHostFlags();
        t.Binary(Alu.Add, Wide(op), op->Rd, op->Rn, t.Extended(op));
        t.ForgetStack(op->Rd);
        return true;
    }

    private static bool SubExtended(Translator t, Op* op)
    {
        t.LoseHostFlags();
        t.Binary(Alu.Sub, Wide(op), op->Rd, op->Rn, t.Extended(op));
        t.ForgetStack(op->Rd);
        return true;
    }

    private static bool AddsExtended(Translator t, Op* op)
    {
        t.Binary(Alu.Add, Wide(op), op->Rd, op->Rn, t.Extended(op));
        t.FlagsSet(borrow: false);
        return true;
    }

    private static bool SubsExtended(Translator t, Op* op)
    {
        t.Subs(op, t.Extended(op));
        return true;
    }

    // The second operand with its shift, in RCX if it has one. Overwrites flags if it has one.
    private Operand Shifted(Op* op, bool wide)
    {
        if (op->Shift == 0)
        {
            return Place(op->Rm);
        }

        Copy(Rcx, op->Rm, wide);
        _a.ShiftImmediate(ShiftOf(op), wide, Rcx, op->Shift);
        return Rcx;
    }

    private static Shift ShiftOf(Op* op) => op->Extra switch { 0 => Shift.Shl, 1 => Shift.Shr, 2 => Shift.Sar, _ => Shift.Ror };

    // Rd = Rn op (Rd shifted), where the order does not matter: as in x ^= x << 13, of which nothing waits for a copy then.
    private bool ShiftInPlace(Op* op, Alu operation)
    {
        Reg target = HostRegisters.Pin(op->Rd);
        if (op->Rd != op->Rm || op->Shift == 0 || target == Reg.None)
        {
            return false;
        }

        Operand left = Place(op->Rn);
        if (op->Rn == op->Rd)
        {
            _a.Load(true, Rcx, target);
            left = Rcx;
        }

        _a.ShiftImmediate(ShiftOf(op), Wide(op), target, op->Shift);
        _a.Alu(operation, Wide(op), target, left);
        return true;
    }

    // The second operand extended and shifted left, in RCX. Overwrites flags.
    private Operand Extended(Op* op)
    {
        Extend(Rcx, op->Rm, op->Extra);
        if (op->Shift != 0)
        {
            _a.ShiftImmediate(Shift.Shl, true, Rcx, op->Shift);
        }

        return Rcx;
    }

    // ExtendReg: UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX. Flags stay.
    private void Extend(Reg destination, int slot, int extension)
    {
        Operand source = Place(slot);
        switch (extension)
        {
            case 0:
                _a.ZeroExtend8(destination, source);
                break;
            case 1:
                _a.ZeroExtend16(destination, source);
                break;
            case 2:
                _a.Load(false, destination, source);
                break;
            case 4:
                _a.SignExtend8(true, destination, source);
                break;
            case 5:
                _a.SignExtend16(true, destination, source);
                break;
            case 6:
                _a.SignExtend32(destination, source);
                break;
            default:
                _a.Load(true, destination, source);
                break;
        }
    }

    private static bool AddWithCarry(Translator t, Op* op) => t.Carry(op, Alu.Adc);

    private static bool SubWithCarry(Translator t, Op* op) => t.Carry(op, Alu.Sbb);

    // ADC, ADCS, SBC, SBCS: CF in, in the sense of the operation.
    private bool Carry(Op* op, Alu operation)
    {
        bool sets = ((op->Word >> 29) & 1) != 0;
        bool borrow = operation == Alu.Sbb;
        if (!sets)
        {
            SettleFlags(_plan.AreFlagsWanted(_index + 1));
        }

        NeedHostFlags();
        SetBorrow(borrow);
        Copy(Rcx, op->Rn, Wide(op));
        _a.Alu(operation, Wide(op), Rcx, Place(op->Rm));
        Out(op->Rd, Rcx);
        if (sets)
        {
            FlagsSet(borrow);
        }
        else
        {
            ForgetHostFlags();
        }

        return true;
    }

    // ---- Logic ----

    private static bool AndImmediate(Translator t, Op* op) => t.LogicImmediate(op, Alu.And);

    private static bool OrrImmediate(Translator t, Op* op) => t.LogicImmediate(op, Alu.Or);

    private static bool EorImmediate(Translator t, Op* op) => t.LogicImmediate(op, Alu.Xor);

    private bool LogicImmediate(Op* op, Alu operation)
    {
        bool wide = Wide(op);
        if (operation == Alu.Or && op->Rn == CpuState.Zr)
        {
            Move(op->Rd, op->Imm);
            return true;
        }

        LoseHostFlags();
        LogicConstant(op, operation, wide);
        ForgetStack(op->Rd);
        return true;
    }

    private void LogicConstant(Op* op, Alu operation, bool wide)
    {
        if (!wide || (long)op->Imm == (int)op->Imm)
        {
            BinaryImmediate(operation, wide, op->Rd, op->Rn, (int)op->Imm);
        }
        else
        {
            _a.LoadImmediate(Rcx, op->Imm);
            Binary(operation, true, op->Rd, op->Rn, Rcx);
        }
    }

    private static bool AndsImmediate(Translator t, Op* op)
    {
        bool wide = Wide(op);
        if (op->Rd == CpuState.Sink && (!wide || (long)op->Imm == (int)op->Imm))
        {
            t._a.TestImmediate(wide, Place(op->Rn), (int)op->Imm);
        }
        else
        {
            t.LogicConstant(op, Alu.And, wide);
        }

        t.FlagsSet(borrow: false);
        return true;
    }

    private static bool AndRegister(Translator t, Op* op) => t.LogicRegister(op, Alu.And, false);

    private static bool BicRegister(Translator t, Op* op) => t.LogicRegister(op, Alu.And, true);

    private static bool OrnRegister(Translator t, Op* op) => t.LogicRegister(op, Alu.Or, true);

    private static bool EorRegister(Translator t, Op* op) => t.LogicRegister(op, Alu.Xor, false);

    private static bool EonRegister(Translator t, Op* op) => t.LogicRegister(op, Alu.Xor, true);

    private static bool OrrRegister(Translator t, Op* op)
    {
        if (op->Rn != CpuState.Zr || op->Shift != 0)
        {
            return t.LogicRegister(op, Alu.Or, false);
        }

        // MOV (register): flags stay.
        Reg target = Target(op->Rd, Rax);
        t.Copy(target, op->Rm, Wide(op));
        t.Out(op->Rd, target);
        return true;
    }

    private bool LogicRegister(Op* op, Alu operation, bool not)
    {
        LoseHostFlags();
        if (not || !ShiftInPlace(op, operation))
        {
            Binary(operation, Wide(op), op->Rd, op->Rn, Second(op, not));
        }

        return true;
    }

    private static bool AndsRegister(Translator t, Op* op)
    {
        bool wide = Wide(op);
        if (op->Rd == CpuState.Sink && op->Shift == 0)
        {
            t._a.Test(wide, Place(op->Rn), t.In(op->Rm, Rcx));
        }
        else
        {
            t.Binary(Alu.And, wide, op->Rd, op->Rn, t.Second(op, false));
        }

        t.FlagsSet(borrow: false);
        return true;
    }

    private static bool BicsRegister(Translator t, Op* op)
    {
        t.Binary(Alu.And, Wide(op), op->Rd, op->Rn, t.Second(op, true));
        t.FlagsSet(borrow: false);
        return true;
    }

    private Operand Second(Op* op, bool not)
    {
        Operand right = Shifted(op, Wide(op));
        if (not)
        {
            if (!right.Is(Rcx))
            {
                Copy(Rcx, op->Rm, Wide(op));
            }

            _a.Not(Wide(op), Rcx);
            return Rcx;
        }

        return right;
    }

    // ---- Constants ----

    private static bool MoveZero(Translator t, Op* op) => t.MoveChain(op, op->Imm);

    private static bool MoveNot(Translator t, Op* op) => t.MoveChain(op, Wide(op) ? ~op->Imm : (uint)~op->Imm);

    // A constant is often made in several steps: all but the last have no effect of their own to be seen.
    private bool MoveChain(Op* op, ulong value)
    {
        int after = _index + 1;
        bool again = after < _plan.Length && !_plan.IsLabel(after) && IsMoveKeep(_plan.At(after))
            && _plan.At(after)->Rd == op->Rd && Wide(_plan.At(after)) == Wide(op);
        _constant = value;
        _constantFor = again ? after : -1;
        if (!again)
        {
            Move(op->Rd, value);
        }

        return true;
    }

    private static bool IsMoveKeep(Op* op) => op->IsAllocated && (op->Word & 0x7F80_0000) == 0x7280_0000;

    private ulong _constant;
    private int _constantFor = -1;

    private static bool MoveKeep(Translator t, Op* op)
    {
        ulong hole = ~(0xFFFFul << op->Shift);
        if (t._constantFor == t._index)
        {
            return t.MoveChain(op, (t._constant & hole) | op->Imm);
        }

        t.LoseHostFlags();
        t.Copy(Rax, op->Rd == CpuState.Sink ? CpuState.Zr : op->Rd, Wide(op));
        t._a.LoadImmediate(Rcx, Wide(op) ? hole : (uint)hole);
        t._a.Alu(Alu.And, true, Rax, Rcx);
        t._a.LoadImmediate(Rcx, op->Imm);
        t._a.Alu(Alu.Or, true, Rax, Rcx);
        t.Out(op->Rd, Rax);
        return true;
    }

    private void Move(int slot, ulong value)
    {
        ForgetStack(slot);
        Reg pin = HostRegisters.Pin(slot);
        if (pin == Reg.None && slot != CpuState.Sink && (long)value == (int)value)
        {
            _a.StoreImmediate(true, HostRegisters.Slot(slot), (int)value);
            return;
        }

        _a.LoadImmediate(Target(slot, Rax), value);
        Out(slot, Target(slot, Rax));
    }

    private static bool Adr(Translator t, Op* op) => t.PcRelative(op, op->Offset + (long)op->Imm);

    private static bool Adrp(Translator t, Op* op) => t.PcRelative(op, (long)op->Imm);

    private bool PcRelative(Op* op, long displacement)
    {
        _a.Load(true, Rax, HostRegisters.CodePageVa);
        AddConstant(Rax, displacement);
        Out(op->Rd, Rax);
        return true;
    }

    // ---- Multiplication and division ----

    private static bool MultiplyAdd(Translator t, Op* op) => t.Multiply(op, Alu.Add);

    private static bool MultiplySub(Translator t, Op* op) => t.Multiply(op, Alu.Sub);

    private bool Multiply(Op* op, Alu operation)
    {
        bool wide = Wide(op);
        LoseHostFlags();
        Copy(Rcx, op->Rn, wide);
        _a.Multiply(wide, Rcx, Place(op->Rm));
        Accumulate(op, operation, wide);
        return true;
    }

    // Rd = Ra ± RCX.
    private void Accumulate(Op* op, Alu operation, bool wide)
    {
        if (op->Ra == CpuState.Zr)
        {
            if (operation == Alu.Sub)
            {
                _a.Negate(wide, Rcx);
            }

            Out(op->Rd, Rcx);
            return;
        }

        Copy(Rax, op->Ra, wide);
        _a.Alu(operation, wide, Rax, Rcx);
        Out(op->Rd, Rax);
    }

    private static bool SignedMultiplyAddLong(Translator t, Op* op) => t.MultiplyLong(op, Alu.Add, 6);

    private static bool SignedMultiplySubLong(Translator t, Op* op) => t.MultiplyLong(op, Alu.Sub, 6);

    private static bool UnsignedMultiplyAddLong(Translator t, Op* op) => t.MultiplyLong(op, Alu.Add, 2);

    private static bool UnsignedMultiplySubLong(Translator t, Op* op) => t.MultiplyLong(op, Alu.Sub, 2);

    private bool MultiplyLong(Op* op, Alu operation, int extension)
    {
        LoseHostFlags();
        Extend(Rcx, op->Rn, extension);
        Extend(Rax, op->Rm, extension);
        _a.Multiply(true, Rcx, Rax);
        Accumulate(op, operation, true);
        return true;
    }

    private static bool SignedMultiplyHigh(Translator t, Op* op) => t.MultiplyHigh(op, signed: true);

    private static bool UnsignedMultiplyHigh(Translator t, Op* op) => t.MultiplyHigh(op, signed: false);

    private bool MultiplyHigh(Op* op, bool signed)
    {
        LoseHostFlags();
        Copy(Rax, op->Rn);
        _a.MultiplyWide(signed, Place(op->Rm));
        Out(op->Rd, Rdx);
        return true;
    }

    private static bool UnsignedDivide(Translator t, Op* op) => t.Divide(op, signed: false);

    private static bool SignedDivide(Translator t, Op* op) => t.Divide(op, signed: true);

    // By zero gives zero; the most negative by -1 gives itself: both fault on the host.
    private bool Divide(Op* op, bool signed)
    {
        bool wide = Wide(op);
        LoseHostFlags();
        Copy(Rcx, op->Rm, wide);
        _a.LoadImmediate(Rax, 0);
        _a.Test(wide, Rcx, Rcx);
        byte* zero = _a.JumpShort(Condition.Equal);
        Copy(Rax, op->Rn, wide);
        byte* minusOne = null;
        if (signed)
        {
            _a.Negate(wide, Rax);
            _a.AluImmediate(Alu.Cmp, wide, Rcx, -1);
            minusOne = _a.JumpShort(Condition.Equal);
            _a.Negate(wide, Rax);
            _a.SignIntoRdx(wide);
        }
        else
        {
            _a.LoadImmediate(Rdx, 0);
        }

        _a.Divide(signed, wide, Rcx);
        _a.BindShort(zero);
        if (minusOne != null)
        {
            _a.BindShort(minusOne);
        }

        Out(op->Rd, Rax);
        return true;
    }
}
