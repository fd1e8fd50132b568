using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Bit fields, shifts by a register, and what has one source.</content>
internal sealed unsafe partial class Translator
{
    // ---- Bit fields ----

    private static bool UnsignedBitfield(Translator t, Op* op) => t.Bitfield(op, signed: false);

    private static bool SignedBitfield(Translator t, Op* op) => t.Bitfield(op, signed: true);

    private bool Bitfield(Op* op, bool signed)
    {
        bool wide = Wide(op);
        Reg target = Target(op->Rd, Rax);
        int low = op->Extra;
        int high = op->Shift;
        if (low == 0 && high is 7 or 15 or 31 && !(high == 31 && !wide))
        {
            // UXTB, UXTH, SXTB, SXTH, SXTW: flags stay.
            Extend(target, op->Rn, (high == 7 ? 0 : high == 15 ? 1 : 2) + (signed ? 4 : 0));
            if (signed && !wide)
            {
                _a.Load(false, target, target);
            }

            Out(op->Rd, target);
            return true;
        }

        LoseHostFlags();
        InsertField(Rax, op, wide, signed);
        Out(op->Rd, Rax);
        return true;
    }

    // The field at its place in a register that is zero, or the sign, elsewhere.
    private void InsertField(Reg into, Op* op, bool wide, bool signed)
    {
        int top = wide ? 63 : 31;
        int low = op->Extra;
        int high = op->Shift;
        Copy(into, op->Rn, wide);
        int left = top - high;
        int right = high >= low ? left + low : left - (top + 1 - low);
        if (left != 0)
        {
            _a.ShiftImmediate(Shift.Shl, wide, into, left);
        }

        if (right != 0)
        {
            _a.ShiftImmediate(signed ? Shift.Sar : Shift.Shr, wide, into, right);
        }
    }

    private static bool BitfieldMove(Translator t, Op* op)
    {
        bool wide = Wide(op);
        int top = wide ? 63 : 31;
        int low = op->Extra;
        int high = op->Shift;
        int width = high >= low ? high - low + 1 : high + 1;
        int at = high >= low ? 0 : top + 1 - low;
        ulong field = (width == 64 ? ulong.MaxValue : (1ul << width) - 1) << at;
        t.LoseHostFlags();
        t.InsertField(Rax, op, wide, signed: false);
        t._a.LoadImmediate(Rcx, wide ? ~field : (uint)~field);
        t._a.Alu(Alu.And, wide, Rcx, Place(op->Rd == CpuState.Sink ? CpuState.Zr : op->Rd));
        t._a.Alu(Alu.Or, wide, Rax, Rcx);
        t.Out(op->Rd, Rax);
        return true;
    }

    private static bool Extract(Translator t, Op* op)
    {
        bool wide = Wide(op);
        if (op->Rn == op->Rm)
        {
            // ROR (immediate): flags stay.
            Reg target = Target(op->Rd, Rax);
            t._a.RotateRight(wide, target, Place(op->Rn), op->Shift);
            t.Out(op->Rd, target);
            return true;
        }

        t.LoseHostFlags();
        t.Copy(Rax, op->Rm, wide);
        if (op->Shift != 0)
        {
            t._a.ShiftRightDouble(wide, Rax, t.In(op->Rn, Rcx), op->Shift);
        }

        t.Out(op->Rd, Rax);
        return true;
    }

    // ---- Shifts by a register: BMI2, flags stay ----

    private static bool ShiftLeft(Translator t, Op* op) => t.ShiftVariable(op, Shift.Shl);

    private static bool ShiftRight(Translator t, Op* op) => t.ShiftVariable(op, Shift.Shr);

    private static bool ShiftArithmetic(Translator t, Op* op) => t.ShiftVariable(op, Shift.Sar);

    private bool ShiftVariable(Op* op, Shift operation)
    {
        Reg count = In(op->Rm, Rcx);
        Reg target = Target(op->Rd, Rax);
        _a.ShiftBy(operation, Wide(op), target, Place(op->Rn), count);
        Out(op->Rd, target);
        return true;
    }

    private static bool RotateVariable(Translator t, Op* op)
    {
        t.LoseHostFlags();
        t.Copy(Rcx, op->Rm);
        t.Copy(Rax, op->Rn, Wide(op));
        t._a.ShiftByCl(Shift.Ror, Wide(op), Rax);
        t.Out(op->Rd, Rax);
        return true;
    }

    // ---- One source ----

    private static bool CountLeadingZeros(Translator t, Op* op)
    {
        t.LoseHostFlags();
        Reg target = Target(op->Rd, Rax);
        t._a.LeadingZeros(Wide(op), target, Place(op->Rn));
        t.Out(op->Rd, target);
        return true;
    }

    private static bool ReverseBytes(Translator t, Op* op)
    {
        Reg target = Target(op->Rd, Rax);
        t.Copy(target, op->Rn, Wide(op));
        t._a.ByteSwap(Wide(op), target);
        t.Out(op->Rd, target);
        return true;
    }

    private static bool ReverseBytes32(Translator t, Op* op)
    {
        t.Copy(Rax, op->Rn);
        t._a.ByteSwap(true, Rax);
        t._a.RotateRight(true, Rax, Rax, 32);
        t.Out(op->Rd, Rax);
        return true;
    }

    private static bool ReverseBits(Translator t, Op* op)
    {
        bool wide = Wide(op);
        t.LoseHostFlags();
        t.Copy(Rax, op->Rn, wide);
        t._a.ByteSwap(wide, Rax);
        t.SwapBits(wide, 4, 0x0F0F_0F0F_0F0F_0F0F);
        t.SwapBits(wide, 2, 0x3333_3333_3333_3333);
        t.SwapBits(wide, 1, 0x5555_5555_5555_5555);
        t.Out(op->Rd, Rax);
        return true;
    }

    // RAX = each group of bits exchanged with its neighbour.
    private void SwapBits(bool wide, int distance, ulong mask)
    {
        _a.LoadImmediate(Rdx, wide ? mask : (uint)mask);
        _a.Load(wide, Rcx, Rax);
        _a.ShiftImmediate(Shift.Shr, wide, Rcx, distance);
        _a.Alu(Alu.And, wide, Rcx, Rdx);
        _a.Alu(Alu.And, wide, Rax, Rdx);
        _a.ShiftImmediate(Shift.Shl, wide, Rax, distance);
        _a.Alu(Alu.Or, wide, Rax, Rcx);
    }

    private static bool Crc32C(Translator t, Op* op)
    {
        int size = 1 << (int)((op->Word >> 10) & 3);
        t.Copy(Rax, op->Rn, wide: false);
        t._a.Crc32C(size, Rax, Place(op->Rm));
        t.Out(op->Rd, Rax);
        return true;
    }
}
