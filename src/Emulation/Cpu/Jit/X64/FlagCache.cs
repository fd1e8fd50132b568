using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>Where the flags are at a place in the code: see <see cref="FlagCache"/>.</summary>
internal readonly record struct FlagPlace(bool InHost, bool InMemory, bool Borrow);

/// <summary>
/// Where NZCV is at the place in the code that is being written. It can be in EFLAGS, in memory (<see cref="CpuState.HostFlags"/>), in
/// both, or in neither. Where it is in neither and a later instruction wants it, the registers of the instruction that set it still hold
/// what it was made of: that instruction is the source.
/// <para>In EFLAGS, SF, ZF and OF are N, Z and V. CF is C after an addition, and its opposite, a borrow, after a subtraction. Storing the
/// flags takes four host instructions, loading them three, and making them again from a source mostly one comparison.</para>
/// </summary>
internal sealed unsafe class FlagCache(Assembler asm, GuestRegisters registers)
{
    // How flags are made again from the registers of their source.
    private enum Recipe : byte
    {
        None,
        Subtract,
        Add,
        And,
    }

    // The x86 conditions of the Arm ones from EQ to LE, where CF is the opposite of C.
    private static readonly Condition[] s_conditions =
    [
        Condition.Equal, Condition.NotEqual, Condition.AboveOrEqual, Condition.Below, Condition.Sign, Condition.NotSign, Condition.Overflow,
        Condition.NotOverflow, Condition.Above, Condition.BelowOrEqual, Condition.GreaterOrEqual, Condition.Less,
        Condition.Greater, Condition.LessOrEqual,
    ];

    // By row of the encoding table.
    private static readonly Recipe[] s_recipes = [.. EncodingTable.Rows.Select(row => row.Operation switch
    {
        Operation.SubsImmediate or Operation.SubsRegister or Operation.SubsShiftedRegister => Recipe.Subtract,
        Operation.AddsImmediate or Operation.AddsRegister or Operation.AddsShiftedRegister => Recipe.Add,
        Operation.AndsImmediate or Operation.AndsRegister or Operation.AndsShiftedRegister => Recipe.And,
        _ => Recipe.None,
    })];

    private BlockPlan _plan = null!;

    // The instruction that code is being made of.
    private int _index;

    private bool _inHost;
    private bool _inMemory;

    // CF is the opposite of C.
    private bool _borrow;

    // The instruction that set the flags, while its registers still tell them; else null.
    private Op* _source;

    /// <summary>Begins a block.</summary>
    public void Begin(BlockPlan plan) => _plan = plan;

    /// <summary>Begins an instruction of the block, or what stands behind the last.</summary>
    public void BeginInstruction(int index) => _index = index;

    /// <summary>The current instruction has just set EFLAGS.</summary>
    /// <param name="borrow">CF is the opposite of C.</param>
    public void Set(bool borrow)
    {
        _inHost = true;
        _inMemory = false;
        _borrow = borrow;
        Op* op = _plan.At(_index);
        _source = CanRemake(op) ? op : null;
    }

    /// <summary>
    /// Gives EFLAGS up, to be called before a host instruction that overwrites them. Uses RAX where the flags are wanted and have no
    /// source.
    /// </summary>
    public void GiveUp()
    {
        if (_source == null)
        {
            Settle();
            _inMemory = true;
        }

        _inHost = false;
    }

    /// <summary>From here on the flags, if they are wanted, are in memory and nowhere else.</summary>
    public void Forget()
    {
        _inHost = false;
        _inMemory = true;
        _source = null;
    }

    /// <summary>The source, where wanted flags are neither in EFLAGS nor in memory; else null. For a stub to settle them later.</summary>
    public Op* Unsettled() => !_inHost && !_inMemory && _plan.AreFlagsWanted(_index) ? _source : null;

    /// <summary>In a stub: stores the flags that <see cref="Unsettled"/> told of. Uses RAX and RCX.</summary>
    public void Settle(Op* source)
    {
        _inHost = _inMemory = false;
        _source = source;
        Settle(true);
    }

    /// <summary>Stores the flags if they are wanted from the current instruction on. They stay in EFLAGS. Uses RAX and RCX.</summary>
    public void Settle() => Settle(_plan.AreFlagsWanted(_index));

    /// <summary>Stores the flags if they are wanted behind the current instruction. They stay in EFLAGS. Uses RAX and RCX.</summary>
    public void SettleBehind() => Settle(_plan.AreFlagsWanted(_index + 1));

    /// <summary>Stores the flags if they are wanted. They stay in EFLAGS. Uses RAX and RCX.</summary>
    public void Settle(bool wanted)
    {
        if (_inMemory || !wanted)
        {
            return;
        }

        if (!_inHost)
        {
            Remake(_source);
        }

        SetBorrow(false);
        asm.FlagsToAh();
        asm.SetByte(Condition.Overflow, Reg.Rax);
        asm.Store(false, HostRegisters.HostFlags, Reg.Rax);
        _inMemory = true;
    }

    /// <summary>Gets the flags into EFLAGS. Uses RAX and RCX.</summary>
    public void Need()
    {
        if (_inHost)
        {
            return;
        }

        if (_source != null)
        {
            Remake(_source);
            return;
        }

        asm.Load(false, Reg.Rax, HostRegisters.HostFlags);
        asm.AddToAl(127);
        asm.FlagsFromAh();
        _inHost = true;
        _borrow = false;
    }

    /// <summary>Makes CF, which is in EFLAGS, C or its opposite.</summary>
    public void SetBorrow(bool borrow)
    {
        if (_borrow != borrow)
        {
            asm.ComplementCarry();
            _borrow = borrow;
        }
    }

    /// <summary>The current instruction makes C its opposite. Uses RAX and RCX.</summary>
    public void InvertCarry()
    {
        Need();
        _borrow = !_borrow;
        _inMemory = false;
        _source = null;
    }

    /// <summary>Gets into EFLAGS what a condition of the guest, from EQ to LE, depends on. Uses RAX and RCX.</summary>
    /// <returns>The condition of the host that is the same now.</returns>
    public Condition Need(int condition)
    {
        if (!_inHost && _source != null && _source->Rd == _source->Rn && condition is 0 or 1 or 4 or 5)
        {
            // Z and N are those of the result, which is still there. The flags as a whole stay where they are.
            registers.Copy(Reg.Rcx, _source->Rd, GuestRegisters.IsWide(_source));
            asm.Test(GuestRegisters.IsWide(_source), Reg.Rcx, Reg.Rcx);
            return s_conditions[condition];
        }

        Need();
        if (condition is 8 or 9)
        {
            SetBorrow(true);
        }

        Condition host = s_conditions[condition];
        return condition is 2 or 3 && !_borrow ? Opposite(host) : host;
    }

    /// <summary>Sets EFLAGS to a constant, given as NZCV in bits 3:0. Uses RAX.</summary>
    /// <param name="borrow">CF is to be the opposite of C.</param>
    public void SetConstant(int nzcv, bool borrow)
    {
        bool carry = (nzcv & 2) != 0;
        int ah = ((nzcv & 8) << 4) | ((nzcv & 4) << 4) | (carry != borrow ? 1 : 0);
        asm.LoadImmediate(Reg.Rax, (ulong)((ah << 8) | (nzcv & 1)));
        asm.AddToAl(127);
        asm.FlagsFromAh();
    }

    /// <summary>Where the flags are now.</summary>
    public FlagPlace Save() => new(_inHost, _inMemory, _borrow);

    /// <summary>Behind code that was jumped around: the flags are where they were before it.</summary>
    public void Restore(FlagPlace place) => (_inHost, _inMemory, _borrow) = (place.InHost, place.InMemory, place.Borrow);

    /// <summary>The host's condition that holds where the given one does not.</summary>
    public static Condition Opposite(Condition condition) => (Condition)((int)condition ^ 1);

    /// <summary>Before an instruction: if it may write a register of the source, the flags no longer depend on that.</summary>
    public void KeepFrom(Op* op)
    {
        if (_source == null || (op->IsAllocated && !MayWriteSource(op, _source)))
        {
            return;
        }

        if (!_inHost)
        {
            Settle();
            _inMemory = true;
            _inHost = false;
        }

        _source = null;
    }

    // ---- Making flags again from their source ----

    private static bool IsImmediate(Op* op) =>
        EncodingTable.Rows[op->Row].Operation is Operation.SubsImmediate or Operation.AddsImmediate or Operation.AndsImmediate;

    // Whether the registers of an instruction still tell its flags behind it. An addition or subtraction needs both operands, or the result
    // and what was added to the operand that it replaced; a logical AND needs its result, or both operands.
    private static bool CanRemake(Op* op) => s_recipes[op->Row] switch
    {
        Recipe.None => false,
        Recipe.And when op->Rd != CpuState.Sink => true,
        _ when IsImmediate(op) => true,
        _ => op->Shift == 0 && op->Rd != op->Rm,
    };

    private static bool MayWriteSource(Op* op, Op* source) =>
        s_recipes[source->Row] == Recipe.And && source->Rd != CpuState.Sink
            ? OpEffects.MayWrite(op, source->Rd)
            : OpEffects.MayWrite(op, source->Rn) || (!IsImmediate(source) && OpEffects.MayWrite(op, source->Rm));

    // Uses RCX.
    private void Remake(Op* source)
    {
        bool wide = GuestRegisters.IsWide(source);
        Recipe recipe = s_recipes[source->Row];
        if (recipe == Recipe.And)
        {
            RemakeLogic(source, wide);
        }
        else
        {
            // Where the result replaced the first operand, that operand is computed from the result.
            bool subtract = recipe == Recipe.Subtract;
            registers.Copy(Reg.Rcx, source->Rn, wide);
            if (source->Rd == source->Rn)
            {
                Combine(subtract ? Alu.Add : Alu.Sub, source);
            }

            Combine(subtract ? Alu.Cmp : Alu.Add, source);
        }

        _inHost = true;
        _borrow = recipe == Recipe.Subtract;
    }

    // RCX = RCX op the second operand.
    private void Combine(Alu operation, Op* source)
    {
        if (IsImmediate(source))
        {
            asm.AluImmediate(operation, GuestRegisters.IsWide(source), Reg.Rcx, (int)source->Imm);
        }
        else
        {
            asm.Alu(operation, GuestRegisters.IsWide(source), Reg.Rcx, GuestRegisters.Place(source->Rm));
        }
    }

    private void RemakeLogic(Op* source, bool wide)
    {
        if (source->Rd != CpuState.Sink)
        {
            registers.Copy(Reg.Rcx, source->Rd, wide);
            asm.Test(wide, Reg.Rcx, Reg.Rcx);
            return;
        }

        if (IsImmediate(source))
        {
            asm.LoadImmediate(Reg.Rcx, source->Imm);
        }
        else
        {
            registers.Copy(Reg.Rcx, source->Rm, wide);
        }

        asm.Test(wide, GuestRegisters.Place(source->Rn), Reg.Rcx);
    }
}
