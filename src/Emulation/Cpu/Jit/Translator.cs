using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Makes x86-64 code of a run of instructions in one page, in one pass and without an intermediate form. A block goes from its first
/// instruction on, past conditional branches, to an unconditional one, the end of the page, or code that is there already. Owner: whoever
/// holds the lock of the translation cache.
/// <para>Between instructions guest state is in its slots and pinned registers, but for NZCV, which may be in EFLAGS, in
/// <see cref="CpuState.HostFlags"/>, in both, or told by the registers that were compared, and for V registers, which may be in XMM
/// registers. An instruction without an emitter, and a memory access that misses the TLB, leave for the interpreter and come back behind
/// the instruction.</para>
/// </summary>
/// <param name="lockstep">Whether stores are logged and no flags left out: see <see cref="Engines.LockstepEngine"/>.</param>
internal sealed unsafe partial class Translator(TranslationCache cache, CodeCache code, bool lockstep) : IDisposable
{
    private const int MaxBlock = BlockPlan.MaxLength;

    /// <summary>Host bytes that a block can take in each of its two places, at most.</summary>
    public const int MaxBytes = MaxBlock * 2048;

    private const Reg Rax = Reg.Rax;
    private const Reg Rcx = Reg.Rcx;
    private const Reg Rdx = Reg.Rdx;

    // Compared with attention by an entry that is closed, and never equal to it.
    private const byte Closed = 0x80;

    private static readonly int s_entryTestLength = MeasureEntryTest();

    private readonly BlockPlan _plan = new(code, s_translated, allFlags: lockstep);
    private readonly VectorCache _vectors = new();
    private readonly Sequence<Stub> _stubs = new();

    // What the instruction leaves for that is being emitted: its stubs, but for what is known at its end.
    private readonly Sequence<Stub> _rare = new();
    private readonly Sequence<(nint Displacement, int Word)> _forward = new();

    // Jumps to code that was there before.
    private readonly Sequence<(nint Displacement, int Entry)> _linked = new();

    // The copy of each instruction that is left for, in the block's cold part.
    private readonly nint[] _copies = new nint[MaxBlock];
    private readonly byte*[] _labels = new byte*[MaxBlock];

    private Assembler _a;
    private CodePage _page = null!;
    private byte* _cold;
    private int _index;

    // Instructions since the budget was last charged, this one not among them.
    private int _uncounted;

    // Where RAX holds CodePageVa: no code has been emitted since.
    private byte* _pageInRaxAt;

    // What is out of the way, in the block's cold part: the call that leaves, and what it says; before that, for a load or store, what else
    // may be done about a miss.
    private readonly record struct Stub(
        ExitKind Kind,
        nint Displacement,
        nint Op,
        int Count,
        nint Place,
        ExitReason Reason = ExitReason.NotTranslated,
        nint FlagSource = 0,
        Miss Miss = default,
        VectorMap Before = default,
        VectorMap After = default,
        FloatConditions Retest = FloatConditions.None,
        bool Relies = false,
        Miss Led = default);

    /// <summary>Lines of its page, by bit, that the block depends on that was translated last.</summary>
    public ulong Lines => _plan.Lines;

    /// <summary>Forgets what was decoded of lines of a page.</summary>
    public void Forget(CodePage page, ulong lines) => _plan.Forget(page, lines);

    /// <summary>Makes an entry of a block leave always. Where vCPUs execute it, they do so now or next time.</summary>
    public static void CloseEntry(byte* entry) => Volatile.Write(ref entry[s_entryTestLength - 1], Closed);

    /// <summary>Translates from a word of a page on; gives each entry to the page.</summary>
    /// <param name="page">Has its number.</param>
    /// <param name="apart">Each access is checked for itself, and the page is given no entries.</param>
    /// <param name="hot">Where the code goes that mostly runs: <see cref="MaxBytes"/> at least.</param>
    /// <param name="cold">Where room for the <see cref="CodeBlock"/> and the ways out go, and as many bytes; a multiple of 8.</param>
    public BlockCode Translate(CodePage page, int word, bool apart, byte* hot, byte* cold)
    {
        _apart = apart;

        // After all code was given up places come again.
        _pageInRaxAt = _addendAt = null;
        _page = page;
        _plan.Make(page, word, apart);
        _cold = cold;
        _a = new Assembler(hot);
        _stubs.Clear();
        _forward.Clear();
        _linked.Clear();
        for (int i = 0; i < _plan.Length; i++)
        {
            _labels[i] = null;
        }

        bool ends = false;
        for (_index = 0; _index < _plan.Length; _index++)
        {
            nint begin = (nint)_a.Position;
            int stubs = _stubs.Count;
            BeginInstruction();
            _vectors.BeginInstruction();
            _accessed = NoCover;
            Op* op = _plan.At(_index);
            KeepFlagsFrom(op);
            var emitter = op->IsAllocated ? s_emitters[op->Row] : null;
            bool emitted = emitter != null && emitter(this, op);
            if (!emitted)
            {
                LeaveToInterpret(op);
            }

            KeepCovers(op);
            ComeBack();
            _uncounted++;
            _became[_index] = (begin, stubs, emitted);
            ends = emitted && BlockPlan.IsUnconditional(op->Word);
        }

        _became[_plan.Length] = ((nint)_a.Position, _stubs.Count, false);

        if (!ends)
        {
            SettleFlags(_plan.AreFlagsWanted(_plan.Length));
            GoTo((_plan.First + _plan.Length) * 4);
        }

        byte* hotEnd = _a.Position;
        _a = new Assembler(cold + sizeof(CodeBlock));
        CopyOps();
        byte* ways = _a.Position;
        EmitStubs();
        while (((nint)_a.Position & 7) != 0)
        {
            _a.Byte(0x90);
        }

        for (int i = 0; i < _forward.Count; i++)
        {
            Assembler.Link((byte*)_forward[i].Displacement, _labels[_forward[i].Word]);
        }

        for (int i = 0; i < _linked.Count; i++)
        {
            cache.LinkJump(page, (byte*)_linked[i].Displacement, cache.At(_linked[i].Entry));
        }

        for (int i = 0; i < _plan.Length; i++)
        {
            if (_plan.IsEntry(i) && !apart)
            {
                page.SetEntry(_plan.First + i, cache.OffsetOf(_labels[i]));
            }
        }

        return new BlockCode(hot, hotEnd, cold, ways, _a.Position);
    }

    /// <summary>Instructions of the block that was translated last.</summary>
    public int Length => _plan.Length;

    // What stands at a label: from here on flags are in memory, since several ways lead here.
    private void BeginInstruction()
    {
        if (!_plan.IsLabel(_index))
        {
            return;
        }

        if (_index > 0)
        {
            SettleFlags(_plan.AreFlagsWanted(_index));
            _vectors.Store(ref _a);
            if (_uncounted > 0)
            {
                _a.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, _uncounted);
            }
        }

        _uncounted = 0;
        ForgetHostFlags();
        ForgetChecks();
        _vectors.Forget();
        _labels[_index] = _a.Position;
        if (_plan.IsEntry(_index))
        {
            EmitEntryTest(ref _a);
            _stubs.Add(new Stub(ExitKind.Attention, (nint)_a.JumpForward(Condition.NotEqual), (nint)_plan.At(_index), 0, 0));
        }
    }

    // The first instruction of an entry. Its last byte is what attention is compared with: see CloseEntry.
    private static void EmitEntryTest(ref Assembler a) => a.AluImmediate(Alu.Cmp, false, HostRegisters.Attention, 0);

    private static int MeasureEntryTest()
    {
        byte* buffer = stackalloc byte[16];
        var a = new Assembler(buffer);
        EmitEntryTest(ref a);
        return (int)(a.Position - buffer);
    }

    // ---- Leaving ----

    // Executes this one instruction in the interpreter; the code goes on behind it.
    private void LeaveToInterpret(Op* op)
    {
        SettleFlags(_plan.AreFlagsWanted(_index));
        _vectors.Store(ref _a);
        byte* call = _a.JumpForward();
        _stubs.Add(new Stub(ExitKind.Interpret, (nint)call, (nint)op, _uncounted, (nint)_a.Position));
        ForgetHostFlags();
        ForgetChecks();
        _vectors.Forget();
    }

    // The same in a rare case, out of the way of the common one, which goes on in the meantime; state must be as before the instruction.
    // Flags are where they are: whoever calls this has lost them from the host. What only registers tell of them is put into memory on this
    // way.
    private void LeaveIf(
        Condition condition, Op* op, ExitReason reason = ExitReason.RareCase, FloatConditions retest = FloatConditions.None) =>
        LeaveAt((nint)_a.JumpForward(condition), op, reason, default, retest);

    private void LeaveAt(nint displacement, Op* op, ExitReason reason, Miss miss, FloatConditions retest = FloatConditions.None) =>
        _rare.Add(
            new Stub(ExitKind.Interpret, displacement, (nint)op, 0, 0, reason, UnsettledFlags(), miss, _vectors.Map(), Retest: retest));

    // At the end of an emitted instruction that may have left: where it goes on.
    private void ComeBack()
    {
        Miss led = Led();
        for (int i = 0; i < _rare.Count; i++)
        {
            _stubs.Add(_rare[i] with
            {
                Count = _uncounted,
                Place = (nint)_a.Position,
                After = _vectors.Map(),
                Relies = _covered != 0,
                Led = led,
            });
        }

        _rare.Clear();
    }

    // To an instruction by its offset from the start of the page, which may be outside it. Charges what was executed.
    private void GoTo(long offset)
    {
        int count = _uncounted;
        _vectors.Store(ref _a);
        if (offset < 0 || offset >= CodePage.Words * 4)
        {
            if (_pageInRaxAt != _a.Position)
            {
                _a.Load(true, Rax, HostRegisters.CodePageVa);
            }

            AddConstant(Rax, offset);
            Charge(count);
            _a.Jump(Condition.LessOrEqual, cache.Thunks.LeaveForLookup);
            LookUp();
            return;
        }

        int word = (int)(offset >> 2);
        int index = word - _plan.First;
        Charge(count);
        Op* op = _plan.OfWord(word);
        if (index >= 0 && index < _plan.Length && _plan.IsLabel(index) && (index > _index || !_apart))
        {
            if (_labels[index] == null)
            {
                _forward.Add(((nint)_a.JumpForward(Condition.Greater), index));
            }
            else
            {
                _a.Jump(Condition.Greater, _labels[index]);
            }

            _stubs.Add(new Stub(ExitKind.Attention, (nint)_a.JumpForward(), (nint)op, 0, 0));
            return;
        }

        // One jump on the way that is taken mostly: it leads to the stub that links it, and then to the other block.
        _a.AlignDisplacement(2);
        byte* displacement = _a.JumpForward(Condition.Greater);
        _stubs.Add(new Stub(ExitKind.Link, (nint)displacement, (nint)op, 0, (nint)displacement));
        _stubs.Add(new Stub(ExitKind.Attention, (nint)_a.JumpForward(), (nint)op, 0, 0));
        if (_page.Entry(word) is var entry and not 0)
        {
            _linked.Add(((nint)displacement, entry));
        }
    }

    private void Charge(int count)
    {
        if (count == 0)
        {
            _a.AluImmediate(Alu.Cmp, true, HostRegisters.Remaining, 0);
        }
        else
        {
            _a.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, count);
        }
    }

    // To the virtual address in RAX, through the jump cache: about 9 instructions.
    private void LookUp()
    {
        _a.Load(false, Rcx, Rax);
        _a.AluImmediate(Alu.And, false, Rcx, (JumpCacheEntry.Count - 1) << 2);
        _a.Load(true, Rdx, HostRegisters.JumpCache);
        _a.Lea(true, Rdx, Operand.At(Rdx, Rcx, 2));
        _a.Alu(Alu.Cmp, true, Rax, Operand.At(Rdx));
        _a.Jump(Condition.NotEqual, cache.Thunks.LookUpSecond);
        Thunks.EmitGo(ref _a);
    }

    private void AddConstant(Reg register, long value)
    {
        if (value == 0)
        {
            return;
        }

        if (value == (int)value)
        {
            _a.Lea(true, register, Operand.At(register, (int)value));
        }
        else
        {
            _a.LoadImmediate(Rcx, (ulong)value);
            _a.Lea(true, register, Operand.At(register, Rcx, 0));
        }
    }

    // Copies of the instructions that are left for, aligned.
    private void CopyOps()
    {
        Array.Clear(_copies, 0, _plan.Length);
        for (int i = 0; i < _stubs.Count; i++)
        {
            if (_stubs[i].Kind != ExitKind.Interpret)
            {
                continue;
            }

            var op = (Op*)_stubs[i].Op;
            ref nint copy = ref _copies[op - _plan.At(0)];
            if (copy == 0)
            {
                copy = (nint)_a.Position;
                _a.Data(*op);
            }
        }
    }

    private void EmitStubs()
    {
        for (int i = 0; i < _stubs.Count; i++)
        {
            ref readonly Stub stub = ref _stubs[i];
            _a.Bind((byte*)stub.Displacement);
            byte* apart = LookUpAgain(stub.Miss);
            SettleState(stub);
            _a.Call(stub.Kind switch
            {
                ExitKind.Interpret => cache.Thunks.LeaveForInterpreter,
                ExitKind.Link => cache.Thunks.LeaveForLink,
                ExitKind.Apart => cache.Thunks.LeaveForApart,
                _ => cache.Thunks.LeaveForAttention,
            });
            bool returns = stub.After.Valid != 0 || stub.Retest != FloatConditions.None || stub.Led.Kept;
            Say(stub, returns ? 0 : stub.Place);
            if (returns)
            {
                Return(stub);
            }

            if (apart != null)
            {
                GoApart(stub, apart);
            }
        }
    }

    // State goes where the interpreter, and other blocks, expect it.
    private void SettleState(in Stub stub)
    {
        if (stub.FlagSource != 0)
        {
            SettleFlagsOf((Op*)stub.FlagSource);
        }

        VectorCache.Store(ref _a, stub.Before);
    }

    // The ExitInfo behind a call that leaves; 0 for a place just behind it.
    private void Say(in Stub stub, nint place)
    {
        var op = (Op*)stub.Op;
        nint start = (nint)_a.Position;
        _a.Int32(stub.Kind == ExitKind.Interpret ? (int)(_copies[op - _plan.At(0)] - start) : op->Offset);
        _a.Int32(stub.Count | (stub.Relies ? 1 << 8 : 0) | (CounterOf(stub) << 16));
        _a.Int32((int)((place == 0 ? start + ExitInfo.CommonSize : place) - (nint)_a.Position));
        _a.Int32(_page.Number);
        if (stub.Kind is ExitKind.Link or ExitKind.Apart)
        {
            _a.Int32((int)(_cold - _a.Position));
        }
    }

    // Where the interpreter comes back to, out of the way: conditions that the main line takes as met, and the V registers it holds.
    private void Return(in Stub stub)
    {
        byte* notCovered = CoverAgain(stub.Led);
        byte* notMet = Retest(stub.Retest, out byte* either);
        VectorCache.Load(ref _a, stub.After);
        _a.Jump((byte*)stub.Place);
        if (notMet == null && either == null && notCovered == null)
        {
            return;
        }

        // They are not: a block of its own begins behind the instruction.
        BindIfAny(notCovered);
        BindIfAny(notMet);
        BindIfAny(either);

        _a.AluImmediate(Alu.Sub, true, HostRegisters.Remaining, stub.Count + 1);
        _a.Load(true, Rax, HostRegisters.CodePageVa);
        _a.Lea(true, Rax, Operand.At(Rax, ((Op*)stub.Op)->Offset + 4));
        _a.Jump(cache.Thunks.LeaveForLookup);
    }

    private void BindIfAny(byte* displacement)
    {
        if (displacement != null)
        {
            _a.Bind(displacement);
        }
    }

    private static int CounterOf(in Stub stub) => stub.Kind switch
    {
        ExitKind.Interpret => ExitCounters.Of(stub.Reason, (Op*)stub.Op),
        ExitKind.Link => ExitCounters.Link,
        ExitKind.Apart => ExitCounters.Apart,
        _ => ExitCounters.Attention,
    };

    public void Dispose() => _plan.Dispose();
}
