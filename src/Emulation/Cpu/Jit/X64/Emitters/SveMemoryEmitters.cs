using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Loads and stores of SVE at consecutive addresses, whose elements have the same size in memory. All bytes that the vector may have there
/// are looked up together; where they lie in two pages, or the TLB does not know the page, the interpreter does it all. So a load may read
/// elements that are not active: they are RAM that the program may read. A store writes none of them.
/// </summary>
internal static unsafe class SveMemoryEmitters
{
    /// <summary>LDR of a Z register.</summary>
    public static bool LoadRegister(BlockEmitter e, Op* op)
    {
        Operand place = Find(e, op, Whole(op, e.Scalable.Length), e.Scalable.Length, write: false);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.LoadXmm(0, At(place, i));
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    public static bool StoreRegister(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Scalable.MakeReal(op->Rd);
        Operand place = Find(e, op, Whole(op, e.Scalable.Length), e.Scalable.Length, write: true);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.StoreXmm(At(place, i), e.Scalable.Read(op->Rd, i, 0));
        }

        return true;
    }

    /// <summary>LDR of a P register.</summary>
    public static bool LoadPredicate(BlockEmitter e, Op* op)
    {
        int bytes = e.Scalable.Length / 8;
        if (!int.IsPow2(bytes))
        {
            return false;
        }

        Operand place = Find(e, op, Whole(op, bytes), bytes, write: false);
        e.Asm.LoadSized(Rdx, place, bytes, signed: false, wide: false);
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        return true;
    }

    public static bool StorePredicate(BlockEmitter e, Op* op)
    {
        int bytes = e.Scalable.Length / 8;
        if (!int.IsPow2(bytes))
        {
            return false;
        }

        Operand place = Find(e, op, Whole(op, bytes), bytes, write: true);
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rd));
        e.Asm.StoreSized(place, Rdx, bytes);
        return true;
    }

    /// <summary>LD1, scalar plus scalar and scalar plus immediate: dtype is at bits 24:21.</summary>
    public static bool LoadScalar(BlockEmitter e, Op* op) => Load(e, op, null);

    public static bool LoadImmediate(BlockEmitter e, Op* op) => Load(e, op, Offset(e, op));

    private static bool Load(BlockEmitter e, Op* op, long? offset)
    {
        int size = SveForms.Field(op, 23, 2);
        if (!IsPlain(op, size))
        {
            return false;
        }

        Operand place = offset is { } constant
            ? Find(e, op, constant, e.Scalable.Length, write: false)
            : FindIndexed(e, op, size, write: false);
        byte* some = JumpUnlessAll(e, op, size);
        for (int i = e.Scalable.Pieces - 1; i >= 0; i--)
        {
            e.Asm.LoadXmm(0, At(place, i));
            StoreUpper(e, op, i);
        }

        byte* done = e.Asm.JumpForward();
        e.Asm.Bind(some);
        for (int i = e.Scalable.Pieces - 1; i >= 0; i--)
        {
            e.Scalable.Mask(1, op->Shift, i, size);
            e.Asm.Packed(Packed.And, 0, 1, At(place, i));
            StoreUpper(e, op, i);
        }

        // Both ways have the first piece in XMM0.
        e.Asm.Bind(done);
        e.Scalable.Write(op->Rd, 0, 0);
        e.Scalable.NoteWritten(op->Rd);
        return true;
    }

    private static void StoreUpper(BlockEmitter e, Op* op, int piece)
    {
        if (piece != 0)
        {
            e.Asm.StoreXmm(HostRegisters.Scalable(op->Rd, piece), 0);
        }
    }

    /// <summary>ST1, scalar plus scalar and scalar plus immediate: bits 24:23 are the size in memory, 22:21 that of the elements.</summary>
    public static bool StoreScalar(BlockEmitter e, Op* op) => Store(e, op, null);

    public static bool StoreImmediate(BlockEmitter e, Op* op) => Store(e, op, Offset(e, op));

    private static bool Store(BlockEmitter e, Op* op, long? offset)
    {
        int size = SveForms.Field(op, 23, 2);
        if (SveForms.Field(op, 21, 2) != size)
        {
            return false;
        }

        Begin(e, op);
        e.Scalable.MakeReal(op->Rd);
        Operand place = offset is { } constant
            ? Find(e, op, constant, e.Scalable.Length, write: true)
            : FindIndexed(e, op, size, write: true);

        // Before the ways part: it may load the register.
        int first = e.Scalable.Read(op->Rd, 0, 0);
        byte* some = JumpUnlessAll(e, op, size);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.StoreXmm(At(place, i), i == 0 ? first : e.Scalable.Read(op->Rd, i, 0));
        }

        byte* done = e.Asm.JumpForward();
        e.Asm.Bind(some);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.StoreXmm(HostRegisters.ScalableRoom(i * ScalableRegisters.LowBytes), i == 0 ? first : e.Scalable.Read(op->Rd, i, 0));
        }

        e.Asm.Alu(Alu.And, true, Rdx, HostRegisters.Predicate(op->Shift));
        e.Scalable.StoreElements(size);
        e.Asm.Bind(done);
        return true;
    }

    // Of a load: the elements have the size that they have in memory, which is then in both halves of dtype.
    private static bool IsPlain(Op* op, int size) => SveForms.Field(op, 21, 2) == size;

    // Jumps where the predicate is not that with all elements true, and no other bit: RDX is that one.
    private static byte* JumpUnlessAll(BlockEmitter e, Op* op, int size)
    {
        e.Asm.LoadImmediate(Rdx, e.Scalable.All(size));
        e.Asm.Alu(Alu.Cmp, true, Rdx, HostRegisters.Predicate(op->Shift));
        return e.Asm.JumpForward(Condition.NotEqual);
    }

    // The offset of scalar plus immediate: bits 19:16, in vectors.
    private static long Offset(BlockEmitter e, Op* op) => SveElements.SignExtend(SveForms.Field(op, 16, 4), 4) * e.Scalable.Length;

    // The signed immediate of bits 21:16 and 12:10, in units of a register.
    private static long Whole(Op* op, int length) =>
        ((SveElements.SignExtend(SveForms.Field(op, 16, 6), 6) << 3) | SveForms.Field(op, 10, 3)) * length;

    private static Operand At(Operand place, int piece) => place with { Displacement = piece * ScalableRegisters.LowBytes };

    // The checks that come first. Gives EFLAGS up.
    private static void Begin(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        e.Flags.GiveUp();
        e.Cover.CheckStack(op);
    }

    // Looks up the bytes at the base and a constant.
    private static Operand Find(BlockEmitter e, Op* op, long offset, int bytes, bool write)
    {
        Begin(e, op);
        e.Registers.Address(op->Rn, (int)offset);
        return e.Tlb.Probe(op, bytes, write);
    }

    // Looks up a vector at the base and Rm, which counts elements.
    private static Operand FindIndexed(BlockEmitter e, Op* op, int size, bool write)
    {
        Begin(e, op);
        e.Asm.Lea(true, Rax, Operand.At(e.Registers.In(op->Rn, Rax), e.Registers.In(op->Rm, Rcx), size));
        return e.Tlb.Probe(op, e.Scalable.Length, write);
    }
}
