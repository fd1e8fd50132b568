using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Data processing on general registers: additions, logic, multiplication and division, shifts by a register, one source, conditional
/// select and compare.
/// </summary>
internal static unsafe class IntegerRegisterEmitters
{
    public static bool AddRegister(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        if (op->Shift != 0 && !(op->Extra == 0 && op->Shift <= 3))
        {
            e.Flags.GiveUp();
            if (!ShiftInPlace(e, op, Alu.Add))
            {
                e.Registers.Binary(Alu.Add, wide, op->Rd, op->Rn, Shifted(e, op, wide));
            }

            return true;
        }

        // One LEA, in which a left shift of up to 3 is free. EFLAGS stays.
        Reg left = e.Registers.In(op->Rn, Rax);
        Reg index = e.Registers.In(op->Rm, Rcx);
        Reg target = Target(op->Rd, Rax);
        e.Asm.Lea(wide, target, Operand.At(left, index, op->Shift));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool SubRegister(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        bool wide = IsWide(op);
        if (op->Rn == CpuState.Zr)
        {
            e.Asm.Load(wide, Rcx, Shifted(e, op, wide));
            e.Asm.Negate(wide, Rcx);
            e.Asm.Load(wide, Target(op->Rd, Rax), Rcx);
            e.Registers.Out(op->Rd, Target(op->Rd, Rax));
            return true;
        }

        e.Registers.Binary(Alu.Sub, wide, op->Rd, op->Rn, Shifted(e, op, wide));
        return true;
    }

    public static bool AddsRegister(BlockEmitter e, Op* op)
    {
        e.Registers.Binary(Alu.Add, IsWide(op), op->Rd, op->Rn, Shifted(e, op, IsWide(op)));
        e.Flags.Set(borrow: false);
        return true;
    }

    public static bool SubsRegister(BlockEmitter e, Op* op)
    {
        Subs(e, op, Shifted(e, op, IsWide(op)));
        return true;
    }

    private static void Subs(BlockEmitter e, Op* op, Operand right)
    {
        if (op->Rd == CpuState.Sink)
        {
            e.Asm.Alu(Alu.Cmp, IsWide(op), e.Registers.In(op->Rn, Rax), right);
        }
        else
        {
            e.Registers.Binary(Alu.Sub, IsWide(op), op->Rd, op->Rn, right);
        }

        e.Flags.Set(borrow: true);
    }

    public static bool AddExtended(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Registers.Binary(Alu.Add, IsWide(op), op->Rd, op->Rn, Extended(e, op));
        e.Cover.NoteWrite(op->Rd);
        return true;
    }

    public static bool SubExtended(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Registers.Binary(Alu.Sub, IsWide(op), op->Rd, op->Rn, Extended(e, op));
        e.Cover.NoteWrite(op->Rd);
        return true;
    }

    public static bool AddsExtended(BlockEmitter e, Op* op)
    {
        e.Registers.Binary(Alu.Add, IsWide(op), op->Rd, op->Rn, Extended(e, op));
        e.Flags.Set(borrow: false);
        return true;
    }

    public static bool SubsExtended(BlockEmitter e, Op* op)
    {
        Subs(e, op, Extended(e, op));
        return true;
    }

    // The second operand. With a shift it is made in RCX, which overwrites EFLAGS.
    private static Operand Shifted(BlockEmitter e, Op* op, bool wide)
    {
        if (op->Shift == 0)
        {
            return Place(op->Rm);
        }

        e.Registers.Copy(Rcx, op->Rm, wide);
        e.Asm.ShiftImmediate(ShiftOf(op), wide, Rcx, op->Shift);
        return Rcx;
    }

    private static Shift ShiftOf(Op* op) => op->Extra switch { 0 => Shift.Shl, 1 => Shift.Shr, 2 => Shift.Sar, _ => Shift.Ror };

    // Rd = (Rd shifted) op Rn in the place of Rd, for an operation in which the order does not matter, as in x ^= x << 13. No copy is then
    // on the way from the old to the new value. False where Rd is not in a host register or is not what is shifted.
    private static bool ShiftInPlace(BlockEmitter e, Op* op, Alu operation)
    {
        Reg target = HostRegisters.Pin(op->Rd);
        if (op->Rd != op->Rm || op->Shift == 0 || target == Reg.None)
        {
            return false;
        }

        Operand left = Place(op->Rn);
        if (op->Rn == op->Rd)
        {
            e.Asm.Load(true, Rcx, target);
            left = Rcx;
        }

        e.Asm.ShiftImmediate(ShiftOf(op), IsWide(op), target, op->Shift);
        e.Asm.Alu(operation, IsWide(op), target, left);
        return true;
    }

    // The second operand extended and shifted left, in RCX. Overwrites EFLAGS.
    private static Operand Extended(BlockEmitter e, Op* op)
    {
        e.Registers.Extend(Rcx, op->Rm, op->Extra);
        if (op->Shift != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shl, true, Rcx, op->Shift);
        }

        return Rcx;
    }

    public static bool AddWithCarry(BlockEmitter e, Op* op) => Carry(e, op, Alu.Adc);

    public static bool SubWithCarry(BlockEmitter e, Op* op) => Carry(e, op, Alu.Sbb);

    // ADC, ADCS, SBC, SBCS. CF goes in as C for an addition, as a borrow for a subtraction.
    private static bool Carry(BlockEmitter e, Op* op, Alu operation)
    {
        bool sets = ((op->Word >> 29) & 1) != 0;
        bool borrow = operation == Alu.Sbb;
        if (!sets)
        {
            e.Flags.SettleBehind();
        }

        e.Flags.Need();
        e.Flags.SetBorrow(borrow);
        e.Registers.Copy(Rcx, op->Rn, IsWide(op));
        e.Asm.Alu(operation, IsWide(op), Rcx, Place(op->Rm));
        e.Registers.Out(op->Rd, Rcx);
        if (sets)
        {
            e.Flags.Set(borrow);
        }
        else
        {
            e.Flags.Forget();
        }

        return true;
    }

    public static bool AndRegister(BlockEmitter e, Op* op) => LogicRegister(e, op, Alu.And, false);

    public static bool BicRegister(BlockEmitter e, Op* op) => LogicRegister(e, op, Alu.And, true);

    public static bool OrnRegister(BlockEmitter e, Op* op) => LogicRegister(e, op, Alu.Or, true);

    public static bool EorRegister(BlockEmitter e, Op* op) => LogicRegister(e, op, Alu.Xor, false);

    public static bool EonRegister(BlockEmitter e, Op* op) => LogicRegister(e, op, Alu.Xor, true);

    public static bool OrrRegister(BlockEmitter e, Op* op)
    {
        if (op->Rn != CpuState.Zr || op->Shift != 0)
        {
            return LogicRegister(e, op, Alu.Or, false);
        }

        // MOV (register): EFLAGS stays.
        Reg target = Target(op->Rd, Rax);
        e.Registers.Copy(target, op->Rm, IsWide(op));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    private static bool LogicRegister(BlockEmitter e, Op* op, Alu operation, bool not)
    {
        e.Flags.GiveUp();
        if (not || !ShiftInPlace(e, op, operation))
        {
            e.Registers.Binary(operation, IsWide(op), op->Rd, op->Rn, Second(e, op, not));
        }

        return true;
    }

    public static bool AndsRegister(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        if (op->Rd == CpuState.Sink && op->Shift == 0)
        {
            e.Asm.Test(wide, Place(op->Rn), e.Registers.In(op->Rm, Rcx));
        }
        else
        {
            e.Registers.Binary(Alu.And, wide, op->Rd, op->Rn, Second(e, op, false));
        }

        e.Flags.Set(borrow: false);
        return true;
    }

    public static bool BicsRegister(BlockEmitter e, Op* op)
    {
        e.Registers.Binary(Alu.And, IsWide(op), op->Rd, op->Rn, Second(e, op, true));
        e.Flags.Set(borrow: false);
        return true;
    }

    private static Operand Second(BlockEmitter e, Op* op, bool not)
    {
        Operand right = Shifted(e, op, IsWide(op));
        if (not)
        {
            if (!right.Is(Rcx))
            {
                e.Registers.Copy(Rcx, op->Rm, IsWide(op));
            }

            e.Asm.Not(IsWide(op), Rcx);
            return Rcx;
        }

        return right;
    }

    // ---- Multiplication and division ----

    public static bool MultiplyAdd(BlockEmitter e, Op* op) => Multiply(e, op, Alu.Add);

    public static bool MultiplySub(BlockEmitter e, Op* op) => Multiply(e, op, Alu.Sub);

    private static bool Multiply(BlockEmitter e, Op* op, Alu operation)
    {
        bool wide = IsWide(op);
        e.Flags.GiveUp();
        e.Registers.Copy(Rcx, op->Rn, wide);
        e.Asm.Multiply(wide, Rcx, Place(op->Rm));
        Accumulate(e, op, operation, wide);
        return true;
    }

    // Rd = Ra ± RCX.
    private static void Accumulate(BlockEmitter e, Op* op, Alu operation, bool wide)
    {
        if (op->Ra == CpuState.Zr)
        {
            if (operation == Alu.Sub)
            {
                e.Asm.Negate(wide, Rcx);
            }

            e.Registers.Out(op->Rd, Rcx);
            return;
        }

        e.Registers.Copy(Rax, op->Ra, wide);
        e.Asm.Alu(operation, wide, Rax, Rcx);
        e.Registers.Out(op->Rd, Rax);
    }

    public static bool SignedMultiplyAddLong(BlockEmitter e, Op* op) => MultiplyLong(e, op, Alu.Add, 6);

    public static bool SignedMultiplySubLong(BlockEmitter e, Op* op) => MultiplyLong(e, op, Alu.Sub, 6);

    public static bool UnsignedMultiplyAddLong(BlockEmitter e, Op* op) => MultiplyLong(e, op, Alu.Add, 2);

    public static bool UnsignedMultiplySubLong(BlockEmitter e, Op* op) => MultiplyLong(e, op, Alu.Sub, 2);

    private static bool MultiplyLong(BlockEmitter e, Op* op, Alu operation, int extension)
    {
        e.Flags.GiveUp();
        e.Registers.Extend(Rcx, op->Rn, extension);
        e.Registers.Extend(Rax, op->Rm, extension);
        e.Asm.Multiply(true, Rcx, Rax);
        Accumulate(e, op, operation, true);
        return true;
    }

    public static bool SignedMultiplyHigh(BlockEmitter e, Op* op) => MultiplyHigh(e, op, signed: true);

    public static bool UnsignedMultiplyHigh(BlockEmitter e, Op* op) => MultiplyHigh(e, op, signed: false);

    private static bool MultiplyHigh(BlockEmitter e, Op* op, bool signed)
    {
        e.Flags.GiveUp();
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.MultiplyWide(signed, Place(op->Rm));
        e.Registers.Out(op->Rd, Rdx);
        return true;
    }

    public static bool UnsignedDivide(BlockEmitter e, Op* op) => Divide(e, op, signed: false);

    public static bool SignedDivide(BlockEmitter e, Op* op) => Divide(e, op, signed: true);

    // A division by zero gives zero, and that of the most negative number by -1 gives that number. Both fault on the host.
    private static bool Divide(BlockEmitter e, Op* op, bool signed)
    {
        bool wide = IsWide(op);
        e.Flags.GiveUp();
        e.Registers.Copy(Rcx, op->Rm, wide);
        e.Asm.LoadImmediate(Rax, 0);
        e.Asm.Test(wide, Rcx, Rcx);
        byte* zero = e.Asm.JumpShort(Condition.Equal);
        e.Registers.Copy(Rax, op->Rn, wide);
        byte* minusOne = null;
        if (signed)
        {
            e.Asm.Negate(wide, Rax);
            e.Asm.AluImmediate(Alu.Cmp, wide, Rcx, -1);
            minusOne = e.Asm.JumpShort(Condition.Equal);
            e.Asm.Negate(wide, Rax);
            e.Asm.SignIntoRdx(wide);
        }
        else
        {
            e.Asm.LoadImmediate(Rdx, 0);
        }

        e.Asm.Divide(signed, wide, Rcx);
        e.Asm.BindShort(zero);
        if (minusOne != null)
        {
            e.Asm.BindShort(minusOne);
        }

        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // ---- Shifts by a register: BMI2, which leaves EFLAGS alone ----

    public static bool ShiftLeft(BlockEmitter e, Op* op) => ShiftVariable(e, op, Shift.Shl);

    public static bool ShiftRight(BlockEmitter e, Op* op) => ShiftVariable(e, op, Shift.Shr);

    public static bool ShiftArithmetic(BlockEmitter e, Op* op) => ShiftVariable(e, op, Shift.Sar);

    private static bool ShiftVariable(BlockEmitter e, Op* op, Shift operation)
    {
        Reg count = e.Registers.In(op->Rm, Rcx);
        Reg target = Target(op->Rd, Rax);
        e.Asm.ShiftBy(operation, IsWide(op), target, Place(op->Rn), count);
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool RotateVariable(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Registers.Copy(Rcx, op->Rm);
        e.Registers.Copy(Rax, op->Rn, IsWide(op));
        e.Asm.ShiftByCl(Shift.Ror, IsWide(op), Rax);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // ---- One source ----

    public static bool CountLeadingZeros(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        Reg target = Target(op->Rd, Rax);
        e.Asm.LeadingZeros(IsWide(op), target, Place(op->Rn));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool ReverseBytes(BlockEmitter e, Op* op)
    {
        Reg target = Target(op->Rd, Rax);
        e.Registers.Copy(target, op->Rn, IsWide(op));
        e.Asm.ByteSwap(IsWide(op), target);
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool ReverseBytes32(BlockEmitter e, Op* op)
    {
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.ByteSwap(true, Rax);
        e.Asm.RotateRight(true, Rax, Rax, 32);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    public static bool ReverseBits(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        e.Flags.GiveUp();
        e.Registers.Copy(Rax, op->Rn, wide);
        e.Asm.ByteSwap(wide, Rax);
        SwapBits(e, wide, 4, 0x0F0F_0F0F_0F0F_0F0F);
        SwapBits(e, wide, 2, 0x3333_3333_3333_3333);
        SwapBits(e, wide, 1, 0x5555_5555_5555_5555);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // Exchanges each group of bits of RAX with its neighbour.
    private static void SwapBits(BlockEmitter e, bool wide, int distance, ulong mask)
    {
        e.Asm.LoadImmediate(Rdx, wide ? mask : (uint)mask);
        e.Asm.Load(wide, Rcx, Rax);
        e.Asm.ShiftImmediate(Shift.Shr, wide, Rcx, distance);
        e.Asm.Alu(Alu.And, wide, Rcx, Rdx);
        e.Asm.Alu(Alu.And, wide, Rax, Rdx);
        e.Asm.ShiftImmediate(Shift.Shl, wide, Rax, distance);
        e.Asm.Alu(Alu.Or, wide, Rax, Rcx);
    }

    public static bool Crc32C(BlockEmitter e, Op* op)
    {
        int size = 1 << (int)((op->Word >> 10) & 3);
        e.Registers.Copy(Rax, op->Rn, wide: false);
        e.Asm.Crc32C(size, Rax, Place(op->Rm));
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    public static bool Select(BlockEmitter e, Op* op) => ConditionalSelect(e, op, increment: false, invert: false);

    public static bool SelectIncrement(BlockEmitter e, Op* op) => ConditionalSelect(e, op, increment: true, invert: false);

    public static bool SelectInvert(BlockEmitter e, Op* op) => ConditionalSelect(e, op, increment: false, invert: true);

    public static bool SelectNegate(BlockEmitter e, Op* op) => ConditionalSelect(e, op, increment: true, invert: true);

    private static bool ConditionalSelect(BlockEmitter e, Op* op, bool increment, bool invert)
    {
        bool wide = IsWide(op);
        int condition = op->Shift;
        if (condition >= 14)
        {
            e.Registers.Copy(Rax, op->Rn, wide);
            e.Registers.Out(op->Rd, Rax);
            return true;
        }

        Condition host = e.Flags.Need(condition);
        e.Registers.Copy(Rcx, op->Rm, wide);
        if (invert)
        {
            e.Asm.Not(wide, Rcx);
        }

        if (increment)
        {
            e.Asm.Lea(wide, Rcx, Operand.At(Rcx, 1));
        }

        e.Asm.ConditionalMove(host, wide, Rcx, Place(op->Rn));
        e.Registers.Out(op->Rd, Rcx);
        return true;
    }

    public static bool CompareRegister(BlockEmitter e, Op* op) => ConditionalCompare(e, op, immediate: false);

    public static bool CompareImmediate(BlockEmitter e, Op* op) => ConditionalCompare(e, op, immediate: true);

    // CCMP, CCMN: where the condition holds NZCV is that of the comparison, else that of the instruction. On both ways CF means the same.
    private static bool ConditionalCompare(BlockEmitter e, Op* op, bool immediate)
    {
        bool wide = IsWide(op);
        bool subtract = ((op->Word >> 30) & 1) != 0;
        byte* otherwise = null;
        if (op->Shift < 14)
        {
            otherwise = e.Asm.JumpShort(FlagCache.Opposite(e.Flags.Need(op->Shift)));
        }

        if (subtract && immediate)
        {
            e.Asm.AluImmediate(Alu.Cmp, wide, Place(op->Rn), (int)op->Imm);
        }
        else
        {
            e.Registers.Copy(Rcx, op->Rn, wide);
            if (immediate)
            {
                e.Asm.AluImmediate(Alu.Add, wide, Rcx, (int)op->Imm);
            }
            else
            {
                e.Asm.Alu(subtract ? Alu.Cmp : Alu.Add, wide, Rcx, Place(op->Rm));
            }
        }

        if (otherwise != null)
        {
            byte* done = e.Asm.JumpShort();
            e.Asm.BindShort(otherwise);
            e.Flags.SetConstant(op->Extra, subtract);
            e.Asm.BindShort(done);
        }

        e.Flags.Set(subtract);
        return true;
    }
}
