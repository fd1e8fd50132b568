using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Predicates of SVE, as doublewords in RAX, RCX and RDX: those of vectors of 64 bytes at most. Bits beyond the vector are zero in all
/// predicates.
/// </summary>
internal static unsafe class SvePredicateEmitters
{
    // N, Z and C where LAHF has them.
    private const int SignShift = 15;
    private const int Zero = 1 << 14;
    private const int CarryShift = 8;

    public static bool And(BlockEmitter e, Op* op) => Logic(e, op, Alu.And, invertSecond: false, invertResult: false);

    public static bool Bic(BlockEmitter e, Op* op) => Logic(e, op, Alu.And, invertSecond: true, invertResult: false);

    public static bool Eor(BlockEmitter e, Op* op) => Logic(e, op, Alu.Xor, invertSecond: false, invertResult: false);

    public static bool Orr(BlockEmitter e, Op* op) => Logic(e, op, Alu.Or, invertSecond: false, invertResult: false);

    public static bool Orn(BlockEmitter e, Op* op) => Logic(e, op, Alu.Or, invertSecond: true, invertResult: false);

    public static bool Nor(BlockEmitter e, Op* op) => Logic(e, op, Alu.Or, invertSecond: false, invertResult: true);

    public static bool Nand(BlockEmitter e, Op* op) => Logic(e, op, Alu.And, invertSecond: false, invertResult: true);

    private static bool Logic(BlockEmitter e, Op* op, Alu operation, bool invertSecond, bool invertResult)
    {
        Begin(e, op);
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rm));
        if (invertSecond)
        {
            e.Asm.Not(true, Rdx);
        }

        e.Asm.Alu(operation, true, Rdx, HostRegisters.Predicate(op->Rn));
        if (invertResult)
        {
            e.Asm.Not(true, Rdx);
        }

        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        Finish(e, op);
        return true;
    }

    /// <summary>SEL of predicates.</summary>
    public static bool Select(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rn));
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        e.Asm.AndNot(true, Rax, Rcx, HostRegisters.Predicate(op->Rm));
        e.Asm.Alu(Alu.Or, true, Rdx, Rax);
        Finish(e, op);
        return true;
    }

    public static bool Test(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rn));
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        SetFlags(e);
        return true;
    }

    /// <summary>PTRUE, PTRUES.</summary>
    public static bool True(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        int size = op->Extra;
        int wanted = SveCounts.OfPattern(SveForms.Field(op, 5), e.Scalable.Length >> size);
        e.Asm.LoadImmediate(Rdx, ScalableVectors.First(wanted, size));
        e.Asm.Load(true, Rcx, Rdx);
        Finish(e, op);
        return true;
    }

    public static bool False(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.StoreImmediate(true, HostRegisters.Predicate(op->Rd), 0);
        return true;
    }

    public static bool SetFfr(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.LoadImmediate(Rdx, e.Scalable.All(0));
        e.Asm.Store(true, HostRegisters.Predicate(ScalableRegisters.Ffr), Rdx);
        return true;
    }

    public static bool WriteFfr(BlockEmitter e, Op* op) => Copy(e, op, op->Rn, ScalableRegisters.Ffr);

    public static bool ReadFfr(BlockEmitter e, Op* op) => Copy(e, op, ScalableRegisters.Ffr, op->Rd);

    private static bool Copy(BlockEmitter e, Op* op, int from, int to)
    {
        Begin(e, op);
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(from));
        e.Asm.Store(true, HostRegisters.Predicate(to), Rdx);
        return true;
    }

    /// <summary>RDFFR and RDFFRS under a predicate.</summary>
    public static bool ReadFfrMasked(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Rn));
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(ScalableRegisters.Ffr));
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        Finish(e, op);
        return true;
    }

    /// <summary>BRKA, BRKB; B is bit 23, and with bit 4 what is not active stays.</summary>
    public static bool Break(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        UpToFirst(e, op, op->Rn, before: (op->Word & (1u << 23)) != 0);
        if ((op->Word & (1u << 4)) != 0)
        {
            e.Asm.AndNot(true, Rax, Rcx, HostRegisters.Predicate(op->Rd));
            e.Asm.Alu(Alu.Or, true, Rdx, Rax);
        }

        Finish(e, op);
        return true;
    }

    // RCX = the governing predicate, RDX = its elements up to the first that is true in another one, with it or without. Uses RAX.
    private static void UpToFirst(BlockEmitter e, Op* op, int predicate, bool before)
    {
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(predicate));
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);

        // RAX = the bits below the lowest one that is set, and with it where that is wanted; all for none.
        e.Asm.Lea(true, Rax, Operand.At(Rdx, -1));
        if (before)
        {
            e.Asm.AndNot(true, Rdx, Rdx, Rax);
        }
        else
        {
            e.Asm.Alu(Alu.Xor, true, Rdx, Rax);
        }

        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
    }

    // RDX = itself where the last element of RCX is true in Pn, else zero. Uses RAX.
    private static void KeepIfLast(BlockEmitter e, Op* op)
    {
        // Without elements the shift is by 64, which the host takes as 0.
        e.Asm.LeadingZeros(true, Rax, Rcx);
        e.Asm.Alu(Alu.And, true, Rcx, HostRegisters.Predicate(op->Rn));
        e.Asm.ShiftBy(Shift.Shl, true, Rax, Rcx, Rax);
        e.Asm.ShiftImmediate(Shift.Sar, true, Rax, 63);
        e.Asm.Alu(Alu.And, true, Rdx, Rax);
    }

    /// <summary>BRKPA, BRKPB (bit 4): as BRKA and BRKB do with Pm, where the last active element is true in Pn.</summary>
    public static bool BreakPropagate(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        UpToFirst(e, op, op->Rm, before: (op->Word & (1u << 4)) != 0);
        KeepIfLast(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        Finish(e, op);
        return true;
    }

    /// <summary>BRKN: Pdm where the last active element is true in Pn, else nothing. Flags are those of all elements.</summary>
    public static bool BreakNext(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Shift));
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rd));
        KeepIfLast(e, op);
        e.Asm.LoadImmediate(Rcx, e.Scalable.All(0));
        Finish(e, op);
        return true;
    }

    /// <summary>PFIRST: the first active element becomes true, too.</summary>
    public static bool First(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rcx, HostRegisters.Predicate(op->Rn));
        e.Asm.Load(true, Rdx, Rcx);
        KeepLowest(e);
        e.Asm.Alu(Alu.Or, true, Rdx, HostRegisters.Predicate(op->Rd));
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        e.Asm.Alu(Alu.And, true, Rdx, Rcx);
        SetFlags(e);
        return true;
    }

    /// <summary>PNEXT: the first active element behind the last that Pdn has.</summary>
    public static bool Next(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.LoadImmediate(Rcx, e.Scalable.All(op->Extra));
        e.Asm.Load(true, Rax, HostRegisters.Predicate(op->Rd));
        e.Asm.Alu(Alu.And, true, Rax, Rcx);
        e.Asm.Alu(Alu.And, true, Rcx, HostRegisters.Predicate(op->Rn));

        // RAX = the bits up to the last one that is set.
        e.Asm.LeadingZeros(true, Rax, Rax);
        e.Asm.Negate(true, Rax);
        e.Asm.AluImmediate(Alu.Add, true, Rax, 64);
        e.Asm.LoadImmediate(Rdx, ulong.MaxValue);
        e.Asm.ClearFrom(true, Rax, Rdx, Rax);
        e.Asm.AndNot(true, Rdx, Rax, Rcx);
        KeepLowest(e);
        Finish(e, op);
        return true;
    }

    // RDX = its lowest bit. Uses RAX.
    private static void KeepLowest(BlockEmitter e)
    {
        e.Asm.Load(true, Rax, Rdx);
        e.Asm.Negate(true, Rax);
        e.Asm.Alu(Alu.And, true, Rdx, Rax);
    }

    /// <summary>PUNPKLO, PUNPKHI (bit 16): elements of a half become those of twice the size.</summary>
    public static bool Unpack(BlockEmitter e, Op* op)
    {
        Begin(e, op);
        e.Asm.Load(true, Rdx, HostRegisters.Predicate(op->Rn));
        if ((op->Word & (1u << 16)) != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shr, true, Rdx, e.Scalable.Length / 2);
        }

        e.Asm.ScatterBits(true, Rdx, Rdx, HostRegisters.ScalableConstant(ScalableConstants.All(1)));
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        return true;
    }

    /// <summary>
    /// WHILELT and kin that count up. Bit 12: 64 bits; bit 11: unsigned; bit 4: or equal. Where Rm is the greatest number, Rn, which wraps,
    /// is always less or equal: the interpreter does that.
    /// </summary>
    public static bool While(BlockEmitter e, Op* op)
    {
        bool wide = (op->Word & (1u << 12)) != 0;
        bool unsigned = (op->Word & (1u << 11)) != 0;
        bool equal = (op->Word & (1u << 4)) != 0;
        if ((op->Word & (1u << 10)) == 0)
        {
            return false;
        }

        Begin(e, op);
        int size = op->Extra;
        int count = e.Scalable.Length >> size;
        e.Registers.Copy(Rax, op->Rm, wide);
        if (equal)
        {
            e.Asm.LoadImmediate(Rcx, (wide ? ulong.MaxValue : uint.MaxValue) >> (unsigned ? 0 : 1));
            e.Asm.Alu(Alu.Cmp, wide, Rax, Rcx);
            e.Exits.LeaveIf(Condition.Equal, op);
        }

        // RDX = Rm - Rn, or one more; 0 where Rn is not less. XZR has no pin, and its slot holds zero.
        e.Asm.LoadImmediate(Rdx, 0);
        e.Asm.Alu(Alu.Sub, wide, Rax, GuestRegisters.Place(op->Rn));
        if (equal)
        {
            e.Asm.Lea(wide, Rax, Operand.At(Rax, 1));
        }

        e.Asm.ConditionalMove(
            (unsigned, equal) switch
            {
                (true, false) => Condition.Above,
                (true, true) => Condition.AboveOrEqual,
                (false, false) => Condition.Greater,
                _ => Condition.GreaterOrEqual,
            },
            wide, Rdx, Rax);

        // RDX = the first elements, as many as that.
        e.Asm.LoadImmediate(Rcx, (ulong)count);
        e.Asm.Alu(Alu.Cmp, true, Rdx, Rcx);
        e.Asm.ConditionalMove(Condition.Above, true, Rdx, Rcx);
        if (size != 0)
        {
            e.Asm.ShiftImmediate(Shift.Shl, false, Rdx, size);
        }

        ulong all = e.Scalable.All(size);
        e.Asm.LoadImmediate(Rcx, all);
        e.Asm.ClearFrom(true, Rdx, Rcx, Rdx);
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        SetFlags(e, leaves: equal);
        return true;
    }

    // The checks that come first. Gives EFLAGS up.
    private static void Begin(BlockEmitter e, Op* op)
    {
        e.Floats.CheckScalable(op);
        e.Flags.GiveUp();
    }

    // Stores the predicate in RDX, and where the instruction sets flags does so as SetFlags says.
    private static void Finish(BlockEmitter e, Op* op)
    {
        e.Asm.Store(true, HostRegisters.Predicate(op->Rd), Rdx);
        if ((EncodingTable.Rows[op->Row].Effects & Effects.WriteFlags) != 0)
        {
            SetFlags(e);
        }
    }

    /// <summary>
    /// The flags of a predicate in RDX whose bits are all active under a governing one in RCX (Arm ARM, PredTest). Uses RAX, RCX and RDX.
    /// </summary>
    /// <param name="leaves">
    /// The instruction may have been left to the interpreter, behind which the flags are in memory: so they are put there.
    /// </param>
    public static void SetFlags(BlockEmitter e, bool leaves = false)
    {
        if (!e.Plan.AreFlagsWanted(e.Index + 1))
        {
            e.Flags.Forget();
            return;
        }

        // The last active element comes to the top, the first one to the bottom. Where none is active both are zero.
        e.Asm.LeadingZeros(true, Rax, Rcx);
        e.Asm.ShiftBy(Shift.Shl, true, Rax, Rdx, Rax);
        e.Asm.Not(true, Rax);
        e.Asm.ShiftImmediate(Shift.Shr, true, Rax, 63);
        e.Asm.ShiftImmediate(Shift.Shl, false, Rax, CarryShift);
        e.Asm.TrailingZeros(true, Rcx, Rcx);
        e.Asm.ShiftBy(Shift.Shr, true, Rcx, Rdx, Rcx);
        e.Asm.AluImmediate(Alu.And, false, Rcx, 1);
        e.Asm.ShiftImmediate(Shift.Shl, false, Rcx, SignShift);
        e.Asm.Alu(Alu.Or, false, Rax, Rcx);
        e.Asm.AluImmediate(Alu.Cmp, true, Rdx, 1);
        e.Asm.Alu(Alu.Sbb, false, Rcx, Rcx);
        e.Asm.AluImmediate(Alu.And, false, Rcx, Zero);
        e.Asm.Alu(Alu.Or, false, Rax, Rcx);

        if (leaves)
        {
            e.Asm.Store(false, HostRegisters.HostFlags, Rax);
            e.Flags.Forget();
            return;
        }

        // OF stays 0.
        e.Asm.AddToAl(127);
        e.Asm.FlagsFromAh();
        e.Flags.Set(borrow: false);
    }
}
