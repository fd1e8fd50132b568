using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// The ways out of a block, as the hot part takes them: jumps to stubs that leave, jumps inside the page, and jumps through the jump cache.
/// <see cref="StubWriter"/> writes the stubs when the hot part is complete.
/// </summary>
internal sealed unsafe class Exits(Assembler asm, Thunks thunks, GuestRegisters registers, FlagCache flags, VectorCache vectors)
{
    // The stubs of the block, in the order in which they are written.
    private readonly Sequence<Stub> _stubs = new();

    // The stubs of the current instruction. Some of what they must know is known at its end only.
    private readonly Sequence<Stub> _current = new();

    // Jumps to labels of the block that have no code yet: their displacements.
    private readonly Sequence<(nint Jump, int Label)> _forward = new();

    private BlockPlan _plan = null!;
    private CodeSpace _space = null!;

    // The instruction that code is being made of.
    private int _index;

    // Where RAX holds CodePageVa: true as long as no code has been written since.
    private byte* _pageInRaxAt;

    /// <summary>Instructions since the budget was last charged, without the current one.</summary>
    public int Uncharged { get; private set; }

    /// <summary>How many stubs the block has so far.</summary>
    public int Count => _stubs.Count;

    /// <summary>Whether the current instruction can have left so far.</summary>
    public bool IsLeft => _current.Count > 0;

    /// <summary>The look-up by which the current instruction begins a cover; of length 0 where it begins none.</summary>
    public TlbMiss Led
    {
        get
        {
            for (int i = 0; i < _current.Count; i++)
            {
                if (_current[i].Miss.Leads)
                {
                    return _current[i].Miss;
                }
            }

            return default;
        }
    }

    /// <summary>A stub of the block.</summary>
    public ref readonly Stub this[int index] => ref _stubs[index];

    /// <summary>Begins a block.</summary>
    public void Begin(BlockPlan plan, CodeSpace space)
    {
        _plan = plan;
        _space = space;
        _stubs.Clear();
        _forward.Clear();

        // After all code was given up the same addresses are used again.
        _pageInRaxAt = null;
    }

    /// <summary>Begins an instruction of the block, or what stands behind the last.</summary>
    public void BeginInstruction(int index) => _index = index;

    /// <summary>Ends an instruction: completes its stubs, which come back to this place.</summary>
    /// <param name="relies">What follows relies on a cover.</param>
    public void EndInstruction(bool relies)
    {
        TlbMiss led = Led;
        for (int i = 0; i < _current.Count; i++)
        {
            Stub stub = _current[i];
            stub.Count = Uncharged;
            stub.Place = asm.Position;
            stub.After = vectors.Map();
            stub.Relies = relies;
            stub.Led = led;
            _stubs.Add(stub);
        }

        _current.Clear();
        Uncharged++;
    }

    /// <summary>Charges what was executed before a label, to which other ways lead too.</summary>
    public void ChargeBeforeLabel()
    {
        if (_index > 0 && Uncharged > 0)
        {
            asm.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, Uncharged);
        }

        Uncharged = 0;
    }

    /// <summary>Leaves, where the flags say not equal, before the current instruction: for attention.</summary>
    public void LeaveForAttention() =>
        _stubs.Add(new Stub { Kind = ExitKind.Attention, Jump = asm.JumpForward(Condition.NotEqual), Op = _plan.At(_index) });

    /// <summary>Always leaves the current instruction to the interpreter; comes back behind the jump.</summary>
    public void Leave(Op* op)
    {
        byte* jump = asm.JumpForward();
        _stubs.Add(new Stub { Kind = ExitKind.Interpret, Jump = jump, Op = op, Count = Uncharged, Place = asm.Position });
    }

    /// <summary>
    /// Leaves the current instruction to the interpreter where a condition of the host holds. The state must be as before the instruction.
    /// Flags may be anywhere but in EFLAGS alone: the caller has given that up. The stub settles flags that only their source tells.
    /// </summary>
    /// <param name="retest">What the way back must test again, since the code behind the instruction takes it as met.</param>
    public void LeaveIf(
        Condition condition, Op* op, ExitReason reason = ExitReason.RareCase, FloatConditions retest = FloatConditions.None) =>
        LeaveAt(asm.JumpForward(condition), op, reason, default, retest);

    /// <summary>The same, by a jump that was written before.</summary>
    /// <param name="jump">Its displacement.</param>
    public void LeaveAt(byte* jump, Op* op, ExitReason reason, in TlbMiss miss, FloatConditions retest = FloatConditions.None) =>
        _current.Add(new Stub
        {
            Kind = ExitKind.Interpret,
            Jump = jump,
            Op = op,
            Reason = reason,
            FlagSource = flags.Unsettled(),
            Miss = miss,
            Before = vectors.Map(),
            Retest = retest,
        });

    /// <summary>Goes to a guest instruction, and charges what was executed.</summary>
    /// <param name="offset">From the start of the page, in bytes; the instruction may lie outside the page.</param>
    /// <param name="count">Instructions to be charged.</param>
    public void GoTo(long offset, int count)
    {
        vectors.Store();
        if (offset < 0 || offset >= CodePage.Words * 4)
        {
            GoOutside(offset, count);
            return;
        }

        int word = (int)(offset >> 2);
        int label = word - _plan.First;
        Charge(count);
        if (label >= 0 && label < _plan.Length && _plan.IsLabel(label) && (label > _index || !_plan.IsApart))
        {
            if (_space.Labels[label] == null)
            {
                _forward.Add(((nint)asm.JumpForward(Condition.Greater), label));
            }
            else
            {
                asm.Jump(Condition.Greater, _space.Labels[label]);
            }

            LeaveForAttention(word);
            return;
        }

        // The way that is mostly taken is one jump. At first it leads to the stub that links it, then to the other block.
        asm.AlignDisplacement(2);
        byte* jump = asm.JumpForward(Condition.Greater);
        _stubs.Add(new Stub { Kind = ExitKind.Link, Jump = jump, Op = _plan.OfWord(word), Place = jump });
        LeaveForAttention(word);
        if (_plan.Page.Entry(word) is var entry and not 0)
        {
            _space.Links.Add(((nint)jump, entry));
        }
    }

    // The budget has ended before a word of the page.
    private void LeaveForAttention(int word) =>
        _stubs.Add(new Stub { Kind = ExitKind.Attention, Jump = asm.JumpForward(), Op = _plan.OfWord(word) });

    private void GoOutside(long offset, int count)
    {
        if (_pageInRaxAt != asm.Position)
        {
            asm.Load(true, Reg.Rax, HostRegisters.CodePageVa);
        }

        registers.AddConstant(Reg.Rax, offset);
        GoToRax(count);
    }

    /// <summary>RAX holds CodePageVa as long as no more code is written.</summary>
    public void NotePageInRax() => _pageInRaxAt = asm.Position;

    /// <summary>
    /// Charges what was executed, and goes to the guest virtual address in RAX through the jump cache: about 9 instructions.
    /// </summary>
    /// <param name="count">Instructions to be charged.</param>
    public void GoToRax(int count)
    {
        Charge(count);
        asm.Jump(Condition.LessOrEqual, thunks.LeaveForLookup);
        asm.Load(false, Reg.Rcx, Reg.Rax);
        asm.AluImmediate(Alu.And, false, Reg.Rcx, (JumpCacheEntry.Count - 1) << 2);
        asm.Load(true, Reg.Rdx, HostRegisters.JumpCache);
        asm.Lea(true, Reg.Rdx, Operand.At(Reg.Rdx, Reg.Rcx, 2));
        asm.Alu(Alu.Cmp, true, Reg.Rax, Operand.At(Reg.Rdx));
        asm.Jump(Condition.NotEqual, thunks.LookUpSecond);
        Thunks.EmitGo(asm);
    }

    // The flags then say greater while any of the budget is left.
    private void Charge(int count) =>
        asm.AluImmediate(count == 0 ? Alu.Cmp : Alu.Sub, true, HostRegisters.Remaining, count);

    /// <summary>Lets the jumps to labels that had no code go there. To be called when the hot part is complete.</summary>
    public void BindForwardJumps()
    {
        for (int i = 0; i < _forward.Count; i++)
        {
            Assembler.Link((byte*)_forward[i].Jump, _space.Labels[_forward[i].Label]);
        }
    }
}
