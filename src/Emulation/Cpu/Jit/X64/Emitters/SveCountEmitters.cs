using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Counts of elements in general registers, by a pattern or of a predicate; the vector length itself.</summary>
internal static unsafe class SveCountEmitters
{
    /// <summary>CNTB to CNTD.</summary>
    public static bool Count(BlockEmitter e, Op* op) => Constant(e, op, Pattern(e, op));

    /// <summary>RDVL.</summary>
    public static bool ReadVectorLength(BlockEmitter e, Op* op) => Constant(e, op, (long)op->Imm * e.Scalable.Length);

    /// <summary>INCB to DECD; bit 10: down.</summary>
    public static bool Change(BlockEmitter e, Op* op) => Add(e, op, Directed(op, Pattern(e, op), 10));

    /// <summary>INCH to DECD of a vector's elements; bit 10: down.</summary>
    public static bool ChangeVector(BlockEmitter e, Op* op)
    {
        ulong change = (ulong)Directed(op, Pattern(e, op), 10) & SveElements.Mask(8 << op->Extra);
        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rd);
        SimdSequences.Constant(e, 3, SimdSequences.Replicate(change, op->Extra));
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.Packed(SimdOperations.Add.At(op->Extra), 0, e.Scalable.Read(op->Rd, i, 0), 3);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>ADDVL, ADDPL.</summary>
    public static bool AddVectorLength(BlockEmitter e, Op* op) => Add(e, op, (long)op->Imm * e.Scalable.Length);

    public static bool AddPredicateLength(BlockEmitter e, Op* op) => Add(e, op, (long)op->Imm * (e.Scalable.Length / 8));

    private static long Pattern(BlockEmitter e, Op* op) =>
        SveCounts.OfPattern(SveForms.Field(op, 5), e.Scalable.Length >> op->Extra) * (long)op->Imm;

    private static long Directed(Op* op, long count, int bit) => (op->Word & (1u << bit)) != 0 ? -count : count;

    private static bool Constant(BlockEmitter e, Op* op, long value)
    {
        e.Floats.CheckScalable(op);
        Reg target = GuestRegisters.Target(op->Rd, Rax);
        e.Asm.LoadImmediate(target, (ulong)value);
        e.Registers.Out(op->Rd, target);
        return true;
    }

    private static bool Add(BlockEmitter e, Op* op, long value)
    {
        e.Floats.CheckScalable(op);
        Reg target = GuestRegisters.Target(op->Rd, Rax);
        e.Registers.Copy(target, op->Rn);
        e.Registers.AddConstant(target, value);
        e.Registers.Out(op->Rd, target);
        e.Cover.NoteWrite(op->Rd);
        return true;
    }

    /// <summary>CNTP: of the active elements those that are true.</summary>
    public static bool CountPredicate(BlockEmitter e, Op* op)
    {
        CountTrue(e, op, op->Shift);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    /// <summary>INCP, DECP; bit 16: down.</summary>
    public static bool ChangeByPredicate(BlockEmitter e, Op* op)
    {
        CountTrue(e, op, op->Rm);
        e.Registers.Copy(Rcx, op->Rn);
        e.Asm.Alu((op->Word & (1u << 16)) != 0 ? Alu.Sub : Alu.Add, true, Rcx, Rax);
        e.Registers.Out(op->Rd, Rcx);
        return true;
    }

    // RAX = the elements of Pm that are true in another predicate too. Uses RCX.
    private static void CountTrue(BlockEmitter e, Op* op, int other)
    {
        e.Floats.CheckScalable(op);
        e.Flags.GiveUp();
        e.Asm.LoadImmediate(Rax, e.Scalable.All(op->Extra));
        e.Asm.Alu(Alu.And, true, Rax, HostRegisters.Predicate(op->Rm));
        e.Asm.Alu(Alu.And, true, Rax, HostRegisters.Predicate(other));
        e.Asm.CountOnes(true, Rax, Rax);
    }
}
