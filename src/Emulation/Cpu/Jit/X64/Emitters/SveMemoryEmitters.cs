using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Loads and stores of SVE at consecutive addresses. All bytes that the vector may have there are looked up together; where they lie in
/// two pages, or the TLB does not know the page, the interpreter does it all. So a load may read elements that are not active: they are RAM
/// that the program may read, and no element of LDFF1 and LDNF1 faults, which are LD1 here. A store writes none of them.
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
        e.Floats.CheckScalable(op);
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

    /// <summary>LD1, LDFF1 and LDNF1, scalar plus scalar and scalar plus immediate: dtype is at bits 24:21.</summary>
    public static bool LoadScalar(BlockEmitter e, Op* op) => Load(e, op, SveMemory.TypeOf(SveForms.Field(op, 21, 4)), immediate: false);

    public static bool LoadImmediate(BlockEmitter e, Op* op) => Load(e, op, SveMemory.TypeOf(SveForms.Field(op, 21, 4)), immediate: true);

    /// <summary>Loads a vector.</summary>
    /// <param name="type">The log2 of the bytes in memory and of an element, and the sign.</param>
    public static bool Load(BlockEmitter e, Op* op, (int Memory, int Size, bool Signed) type, bool immediate)
    {
        Operand place = FindVector(e, op, e.Scalable.Length >> (type.Size - type.Memory), type.Memory, immediate, write: false);
        byte* some = JumpUnlessAll(e, op, type.Size);
        for (int i = e.Scalable.Pieces - 1; i >= 0; i--)
        {
            LoadPiece(e, place, i, type);
            StoreUpper(e, op, i);
        }

        byte* done = e.Asm.JumpForward();
        e.Asm.Bind(some);
        for (int i = e.Scalable.Pieces - 1; i >= 0; i--)
        {
            e.Scalable.Mask(1, op->Shift, i, type.Size);
            LoadPiece(e, place, i, type);
            e.Asm.Packed(Packed.And, 0, 1);
            StoreUpper(e, op, i);
        }

        // Both ways have the first piece in XMM0.
        e.Asm.Bind(done);
        e.Scalable.Write(op->Rd, 0, 0);
        e.Scalable.NoteWritten(op->Rd);
        return true;
    }

    // XMM0 = a piece of a vector, of elements that are extended.
    private static void LoadPiece(BlockEmitter e, Operand place, int piece, (int Memory, int Size, bool Signed) type)
    {
        Operand from = place with { Displacement = piece * ScalableRegisters.LowBytes >> (type.Size - type.Memory) };
        if (type.Size == type.Memory)
        {
            e.Asm.LoadXmm(0, from);
        }
        else
        {
            e.Asm.PackedOne(Extension(type), 0, from);
        }
    }

    private static Packed Extension((int Memory, int Size, bool Signed) type) => type switch
    {
        (0, 1, false) => Packed.ZeroExtendB,
        (0, 2, false) => Packed.ZeroExtendBToS,
        (0, 3, false) => Packed.ZeroExtendBToD,
        (1, 2, false) => Packed.ZeroExtendH,
        (1, 3, false) => Packed.ZeroExtendHToD,
        (2, 3, false) => Packed.ZeroExtendS,
        (0, 1, true) => Packed.SignExtendB,
        (0, 2, true) => Packed.SignExtendBToS,
        (0, 3, true) => Packed.SignExtendBToD,
        (1, 2, true) => Packed.SignExtendH,
        (1, 3, true) => Packed.SignExtendHToD,
        _ => Packed.SignExtendS,
    };

    /// <summary>LD1R: an element in all places that are active. Where none is it may be read all the same: it is RAM.</summary>
    public static bool LoadReplicate(BlockEmitter e, Op* op)
    {
        (int memory, int size, bool signed) = SveMemory.ReplicatedType(op);
        Operand place = Find(e, op, (long)SveForms.Field(op, 16, 6) << memory, 1 << memory, write: false);
        e.Asm.LoadSized(Rdx, place, 1 << memory, signed, wide: true);
        e.Asm.LoadXmmGeneral(true, 3, Rdx);
        SimdSequences.Broadcast(e, 3, 3, size, 0);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Mask(0, op->Shift, i, size);
            e.Asm.Packed(Packed.And, 0, 3);
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>LD1RQ, scalar plus scalar and scalar plus immediate: 16 bytes in all pieces.</summary>
    public static bool LoadQuadword(BlockEmitter e, Op* op) => RepeatQuadword(e, op, immediate: false);

    public static bool LoadQuadwordImmediate(BlockEmitter e, Op* op) => RepeatQuadword(e, op, immediate: true);

    private static bool RepeatQuadword(BlockEmitter e, Op* op, bool immediate)
    {
        int size = SveForms.Field(op, 23, 2);
        Operand place = FindVector(e, op, ScalableRegisters.LowBytes, size, immediate, write: false);
        e.Scalable.Mask(0, op->Shift, 0, size);
        e.Asm.Packed(Packed.And, 0, 0, place);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Scalable.Write(op->Rd, i, 0);
        }

        return true;
    }

    /// <summary>A prefetch: nothing.</summary>
    public static bool Prefetch(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
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
    public static bool StoreScalar(BlockEmitter e, Op* op) => Store(e, op, SveForms.Field(op, 21, 2), immediate: false);

    public static bool StoreImmediate(BlockEmitter e, Op* op) => Store(e, op, SveForms.Field(op, 21, 2), immediate: true);

    /// <summary>Stores a vector, whose elements have the size of bits 24:23 in memory.</summary>
    /// <param name="size">log2 of the bytes of an element of the register.</param>
    public static bool Store(BlockEmitter e, Op* op, int size, bool immediate)
    {
        int memory = SveForms.Field(op, 23, 2);
        int bytes = e.Scalable.Length >> (size - memory);
        int each = ScalableRegisters.LowBytes >> (size - memory);
        if (!int.IsPow2(bytes) && each < 8)
        {
            // Lockstep logs powers of two.
            return false;
        }

        e.Floats.CheckScalable(op);
        e.Scalable.MakeReal(op->Rd);
        Operand place = FindVector(e, op, bytes, memory, immediate, write: true);

        // Before the ways part: it may load the register.
        int first = e.Scalable.Read(op->Rd, 0, 0);
        byte* some = JumpUnlessAll(e, op, size);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            StorePiece(e, place with { Displacement = i * each }, Narrowed(e, op, first, i, size, memory), each);
        }

        byte* done = e.Asm.JumpForward();
        e.Asm.Bind(some);
        for (int i = 0; i < e.Scalable.Pieces; i++)
        {
            e.Asm.StoreXmm(HostRegisters.ScalableRoom(i * each), Narrowed(e, op, first, i, size, memory));
        }

        if (size != memory)
        {
            // The bits of the elements move to where the bytes are.
            e.Asm.GatherBits(true, Rdx, Rdx, HostRegisters.ScalableConstant(ScalableConstants.All(size)));
            e.Asm.ScatterBits(true, Rdx, Rdx, HostRegisters.ScalableConstant(ScalableConstants.All(memory)));
        }

        e.Scalable.StoreElements(memory);
        e.Asm.Bind(done);
        return true;
    }

    // A register with a piece, in elements of the size in memory at its beginning: that of the first one, or XMM0.
    private static int Narrowed(BlockEmitter e, Op* op, int first, int piece, int size, int memory)
    {
        int register = piece == 0 ? first : e.Scalable.Read(op->Rd, piece, 0);
        if (size != memory && register != 0)
        {
            e.Asm.CopyXmm(0, register);
            register = 0;
        }

        while (size-- > memory)
        {
            SimdSequences.Deinterleave(e, 0, 0, size, odd: false);
        }

        return register;
    }

    private static void StorePiece(BlockEmitter e, Operand place, int register, int bytes)
    {
        switch (bytes)
        {
            case 16:
                e.Asm.StoreXmm(place, register);
                break;
            case 8:
                e.Asm.StoreXmm64(place, register);
                break;
            case 4:
                e.Asm.StoreXmm32(place, register);
                break;
            default:
                e.Asm.ExtractElement(1, place, register, 0);
                break;
        }
    }

    /// <summary>Jumps where not all elements of the governing predicate are true: RDX has the bits of those that are.</summary>
    public static byte* JumpUnlessAll(BlockEmitter e, Op* op, int size)
    {
        e.Asm.LoadImmediate(Rdx, e.Scalable.All(size));
        e.Asm.Alu(Alu.And, true, Rdx, HostRegisters.Predicate(op->Shift));
        e.Asm.Alu(Alu.Cmp, true, Rdx, HostRegisters.ScalableConstant(ScalableConstants.All(size)));
        return e.Asm.JumpForward(Condition.NotEqual);
    }

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

    /// <summary>
    /// Looks up bytes at the base and Rm, which counts elements, or at the base and an immediate at bits 19:16, which counts as many bytes.
    /// </summary>
    /// <param name="memory">log2 of the bytes of an element in memory.</param>
    public static Operand FindVector(BlockEmitter e, Op* op, int bytes, int memory, bool immediate, bool write)
    {
        if (immediate)
        {
            return Find(e, op, SveElements.SignExtend(SveForms.Field(op, 16, 4), 4) * bytes, bytes, write);
        }

        Begin(e, op);
        e.Asm.Lea(true, Rax, Operand.At(e.Registers.In(op->Rn, Rax), e.Registers.In(op->Rm, Rcx), memory));
        return e.Tlb.Probe(op, bytes, write);
    }
}
