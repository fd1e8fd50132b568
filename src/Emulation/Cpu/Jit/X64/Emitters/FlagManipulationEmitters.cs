using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>NZCV as a number: what reads it so, or makes it of one.</summary>
internal static unsafe class FlagManipulationEmitters
{
    /// <summary>CFINV, which is no host instruction: CF means the opposite from here on.</summary>
    public static bool InvertCarry(BlockEmitter e, Op* op)
    {
        e.Flags.InvertCarry();
        return true;
    }

    public static bool FromExternal(BlockEmitter e, Op* op) => LookUp(e, FlagManipulation.FromExternalTable);

    public static bool ToExternal(BlockEmitter e, Op* op) => LookUp(e, FlagManipulation.ToExternalTable);

    private static bool LookUp(BlockEmitter e, ulong table)
    {
        Gather(e);
        e.Asm.ShiftImmediate(Shift.Shl, false, Rcx, 2);
        e.Asm.LoadImmediate(Rax, table);
        e.Asm.ShiftBy(Shift.Shr, true, Rcx, Rax, Rcx);
        Scatter(e);
        return true;
    }

    /// <summary>RMIF.</summary>
    public static bool RotateMaskInsert(BlockEmitter e, Op* op)
    {
        Gather(e);
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.RotateRight(true, Rax, Rax, op->Shift);
        e.Asm.AluImmediate(Alu.And, false, Rax, op->Extra);
        e.Asm.AluImmediate(Alu.And, false, Rcx, ~op->Extra);
        e.Asm.Alu(Alu.Or, false, Rcx, Rax);
        Scatter(e);
        return true;
    }

    public static bool Evaluate8(BlockEmitter e, Op* op) => Evaluate(e, op, 8);

    public static bool Evaluate16(BlockEmitter e, Op* op) => Evaluate(e, op, 16);

    // SETF8, SETF16: C stays, V is where the bit above differs from the sign.
    private static bool Evaluate(BlockEmitter e, Op* op, int width)
    {
        Gather(e);
        e.Asm.AluImmediate(Alu.And, false, Rcx, 2);
        e.Registers.Copy(Rax, op->Rn, wide: false);
        e.Asm.Load(false, Rdx, Rax);
        e.Asm.ShiftImmediate(Shift.Shr, false, Rdx, 1);
        e.Asm.Alu(Alu.Xor, false, Rdx, Rax);
        InsertBit(e, width - 1, 0);
        e.Asm.Load(false, Rdx, Rax);
        InsertBit(e, width - 1, 3);
        e.Asm.ShiftImmediate(Shift.Shl, false, Rax, 32 - width);
        e.Asm.SetByte(Condition.Equal, Rdx);
        InsertBit(e, 0, 2);
        Scatter(e);
        return true;
    }

    // A bit of RDX to a bit of RCX, which is zero there.
    private static void InsertBit(BlockEmitter e, int from, int to)
    {
        if (from != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shr, false, Rdx, from);
        }

        e.Asm.AluImmediate(Alu.And, false, Rdx, 1);
        if (to != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shl, false, Rdx, to);
        }

        e.Asm.Alu(Alu.Or, false, Rcx, Rdx);
    }

    /// <summary>RCX = NZCV in bits 3:0. Uses RAX and RDX.</summary>
    public static void Gather(BlockEmitter e)
    {
        e.Flags.Settle(true);
        e.Flags.GiveUp();
        e.Asm.Load(false, Rcx, HostRegisters.HostFlags);
        e.Asm.LoadImmediate(Rdx, Thunks.FlagBits);
        e.Asm.GatherBits(false, Rcx, Rcx, Rdx);
    }

    /// <summary>NZCV = bits 3:0 of RCX. Uses RDX.</summary>
    public static void Scatter(BlockEmitter e)
    {
        e.Asm.LoadImmediate(Rdx, Thunks.FlagBits);
        e.Asm.ScatterBits(false, Rcx, Rcx, Rdx);
        e.Asm.Store(false, HostRegisters.HostFlags, Rcx);
        e.Flags.Forget();
    }
}
