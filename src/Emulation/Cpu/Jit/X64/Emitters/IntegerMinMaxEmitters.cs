using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>FEAT_CSSC: counts, absolute values, and the lesser or greater of two.</summary>
internal static unsafe class IntegerMinMaxEmitters
{
    // NEG makes SF that of the result: where that is negative the operand was not, or is the least number.
    public static bool Absolute(BlockEmitter e, Op* op)
    {
        bool wide = IsWide(op);
        e.Flags.GiveUp();
        e.Registers.Copy(Rcx, op->Rn, wide);
        e.Asm.Load(wide, Rax, Rcx);
        e.Asm.Negate(wide, Rax);
        e.Asm.ConditionalMove(Condition.Sign, wide, Rax, Rcx);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    public static bool CountOnes(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        Reg target = Target(op->Rd, Rax);
        e.Asm.CountOnes(IsWide(op), target, Place(op->Rn));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool CountTrailingZeros(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        Reg target = Target(op->Rd, Rax);
        e.Asm.TrailingZeros(IsWide(op), target, Place(op->Rn));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool MaximumSigned(BlockEmitter e, Op* op) => Choose(e, op, Condition.Less, immediate: false);

    public static bool MaximumUnsigned(BlockEmitter e, Op* op) => Choose(e, op, Condition.Below, immediate: false);

    public static bool MinimumSigned(BlockEmitter e, Op* op) => Choose(e, op, Condition.Greater, immediate: false);

    public static bool MinimumUnsigned(BlockEmitter e, Op* op) => Choose(e, op, Condition.Above, immediate: false);

    public static bool MaximumSignedImmediate(BlockEmitter e, Op* op) => Choose(e, op, Condition.Less, immediate: true);

    public static bool MaximumUnsignedImmediate(BlockEmitter e, Op* op) => Choose(e, op, Condition.Below, immediate: true);

    public static bool MinimumSignedImmediate(BlockEmitter e, Op* op) => Choose(e, op, Condition.Greater, immediate: true);

    public static bool MinimumUnsignedImmediate(BlockEmitter e, Op* op) => Choose(e, op, Condition.Above, immediate: true);

    // Rd = Rn, or the second operand where Rn is on the given side of it.
    private static bool Choose(BlockEmitter e, Op* op, Condition second, bool immediate)
    {
        bool wide = IsWide(op);
        e.Flags.GiveUp();
        e.Registers.Copy(Rax, op->Rn, wide);
        Operand other = immediate ? Rcx : Place(op->Rm);
        if (immediate)
        {
            e.Asm.LoadImmediate(Rcx, op->Imm);
        }

        e.Asm.Alu(Alu.Cmp, wide, Rax, other);
        e.Asm.ConditionalMove(second, wide, Rax, other);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }
}
