using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Makes x86-64 code of a block, in one pass and without an intermediate form. It holds the parts that know where guest state is at the
/// place in the code that is being written, and hands itself to the emitter of each instruction (<see cref="EmitterTable"/>). Owner:
/// whoever holds the lock of the translation cache.
/// <para>Between two instructions guest registers are in their slots and pins. NZCV is where <see cref="Flags"/> says, and V registers
/// where
/// <see cref="Vectors"/> says. An instruction without an emitter, and a memory access that misses the TLB, leave for the interpreter and
/// come back behind the instruction.</para>
/// </summary>
internal sealed unsafe class BlockEmitter
{
    // An entry that is closed compares Attention with this, and never finds it equal.
    private const byte Closed = 0x80;

    private static readonly int s_entryTestLength = MeasureEntryTest();

    private readonly StubWriter _stubs;

    // Of each instruction of the block, and of its end: where its code begins, how many stubs the block had, whether it has an emitter.
    private readonly (nint Position, int Stubs, bool Emitted)[] _made = new (nint, int, bool)[BlockPlan.MaxLength + 1];

    /// <param name="thunks">Written already.</param>
    /// <param name="lockstep">What stores overwrite is logged.</param>
    /// <param name="model">The model of the CPUs.</param>
    public BlockEmitter(Thunks thunks, bool lockstep, CpuModel model)
    {
        Model = model;
        ReadCounter = lockstep ? null : thunks.ReadCounter;
        Registers = new GuestRegisters(Asm);
        Vectors = new VectorCache(Asm);
        Flags = new FlagCache(Asm, Registers);
        Exits = new Exits(Asm, thunks, Registers, Flags, Vectors);
        Tlb = new TlbLookup(Asm, Exits, lockstep);
        Cover = new AddressCover(Asm, thunks, Registers, Flags, Exits, Tlb);
        Floats = new FloatChecks(Asm, Flags, Exits);
        Scalable = new ScalableVectors(Asm, Flags, Vectors, thunks);
        _stubs = new StubWriter(Asm, thunks, Exits, Flags, Vectors, Cover, Floats);
    }

    /// <summary>Writes to the hot part while emitters run, and to the cold part behind them.</summary>
    public Assembler Asm { get; } = new();

    public CpuModel Model { get; }

    public Feature Features => Model.Features;

    /// <summary>See <see cref="Thunks.ReadCounter"/>; null in lockstep, where both sides are to read the same.</summary>
    public byte* ReadCounter { get; }

    public GuestRegisters Registers { get; }

    public VectorCache Vectors { get; }

    public FlagCache Flags { get; }

    public Exits Exits { get; }

    public TlbLookup Tlb { get; }

    public AddressCover Cover { get; }

    public FloatChecks Floats { get; }

    public ScalableVectors Scalable { get; }

    /// <summary>The block.</summary>
    public BlockPlan Plan { get; private set; } = null!;

    /// <summary>The instruction of the block that code is being made of.</summary>
    public int Index { get; private set; }

    /// <summary>Makes an entry of a block leave always. vCPUs that are in the block do so when they come to the entry.</summary>
    public static void CloseEntry(byte* entry) => Volatile.Write(ref entry[s_entryTestLength - 1], Closed);

    /// <summary>Makes the code of a block.</summary>
    public void Emit(BlockPlan plan, CodeSpace space)
    {
        Plan = plan;
        Asm.MoveTo(space.Hot);
        Flags.Begin(plan);
        Exits.Begin(plan, space);
        Cover.Begin(plan);
        Floats.Begin(plan.ScalableLength);
        Scalable.Begin(plan.ScalableLength);
        bool ends = false;
        for (int i = 0; i < plan.Length; i++)
        {
            ends = Emit(i, space) && BlockPlan.IsUnconditional(plan.At(i)->Word);
        }

        EndHotPart(ends);
        space.HotEnd = Asm.Position;
        Asm.MoveTo(space.Cold + sizeof(CodeBlock));
        space.Ways = _stubs.Write(plan, space);
        space.ColdEnd = Asm.Position;
        Exits.BindForwardJumps();
    }

    // Makes the code of an instruction. False if it is left to the interpreter.
    private bool Emit(int index, CodeSpace space)
    {
        nint begin = (nint)Asm.Position;
        int stubs = Exits.Count;
        Begin(index);
        if (Plan.IsLabel(index))
        {
            BeginLabel(index, space);
        }

        Op* op = Plan.At(index);
        Flags.KeepFrom(op);
        bool emitted = op->IsAllocated && EmitterTable.TryEmit(this, op);
        if (!emitted)
        {
            Flags.Settle();
            Vectors.Store();
            Exits.Leave(op);
            Forget();
        }

        else if ((Features & Feature.Sve) != 0)
        {
            ClearHighParts(op);
        }

        Cover.EndInstruction(op);
        Exits.EndInstruction(relies: Cover.Any);
        _made[index] = (begin, stubs, emitted);
        return emitted;
    }

    // With SVE: a V register that is written is all that its Z register has. The handler of an instruction that leaves says so by itself.
    private void ClearHighParts(Op* op)
    {
        Effects effects = EncodingTable.Rows[op->Row].Effects;
        for (uint written = ScalableGates.WrittenVectors(effects, op); written != 0; written &= written - 1)
        {
            Scalable.Clear(BitOperations.TrailingZeroCount(written));
        }
    }

    private void Begin(int index)
    {
        Index = index;
        Flags.BeginInstruction(index);
        Exits.BeginInstruction(index);
        Cover.BeginInstruction(index);
        Vectors.BeginInstruction();
    }

    // Several ways lead to a label. So state is where all of them can put it.
    private void BeginLabel(int index, CodeSpace space)
    {
        if (index > 0)
        {
            Flags.Settle();
            Vectors.Store();
        }

        Exits.ChargeBeforeLabel();
        Forget();
        space.Labels[index] = Asm.Position;
        if (Plan.IsEntry(index))
        {
            EmitEntryTest(Asm);
            Exits.LeaveForAttention();
        }
    }

    // From here on nothing is known but that state is in its slots and pins.
    private void Forget()
    {
        Flags.Forget();
        Cover.Forget();
        Floats.Forget();
        Scalable.Forget();
        Vectors.Forget();
    }

    private void EndHotPart(bool ends)
    {
        int end = Plan.Length;
        _made[end] = ((nint)Asm.Position, Exits.Count, false);
        if (!ends)
        {
            Begin(end);
            Flags.Settle();
            Exits.GoTo((Plan.First + end) * 4, Exits.Uncharged);
        }
    }

    // The first instruction of an entry. Its last byte is what Attention is compared with: see CloseEntry.
    private static void EmitEntryTest(Assembler asm) => asm.AluImmediate(Alu.Cmp, false, HostRegisters.Attention, 0);

    private static int MeasureEntryTest()
    {
        byte* buffer = stackalloc byte[Assembler.MaxInstruction];
        var asm = new Assembler();
        asm.MoveTo(buffer);
        EmitEntryTest(asm);
        return (int)(asm.Position - buffer);
    }

    /// <summary>What an instruction became of the block that was emitted last.</summary>
    public InstructionCode Describe(int index)
    {
        var code = new InstructionCode
        {
            Start = (byte*)_made[index].Position,
            End = (byte*)_made[index + 1].Position,
            IsEmitted = _made[index].Emitted,
        };
        for (int i = _made[index].Stubs; i < _made[index + 1].Stubs; i++)
        {
            ref readonly Stub stub = ref Exits[i];
            code.LookUps += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.TlbMiss ? 1 : 0;
            code.RareCases += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.RareCase ? 1 : 0;
            code.Links += stub.Kind == ExitKind.Link ? 1 : 0;
        }

        return code;
    }
}
