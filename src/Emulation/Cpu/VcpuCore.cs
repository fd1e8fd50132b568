using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Debugging;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Engines;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.PerformanceMonitors;
using Vmm.Emulation.Cpu.PointerAuthentication;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// One possible vCPU: architectural state, its parts, and the loop that executes instructions. It exists, passive, for a
/// disabled CPU too; translations and other execution state are made when it is enabled.
/// <para>Threads: <see cref="Run"/> and everything that reads or writes state belong to one thread at a time, the owner;
/// <see cref="RequestExit"/> and <see cref="Interrupts"/> are for all.</para>
/// </summary>
public sealed unsafe partial class VcpuCore : IDisposable
{
    private readonly CodeCache _code;
    private readonly TranslationCache? _translations;
    private CpuState* _state;
    private readonly IEngine _engine;

    // The instructions that the current Run may execute; after it, those that are left over.
    private long _budget;
    private TraceLog? _trace;

    // The instructions that were taken off a budget and not executed, because they took an exception.
    private long _notExecuted;

    // Whether the owner is inside Run.
    private bool _executing;

    // Whether this vCPU has invalidated code that had changed since its last DSB.
    private bool _codeChanged;

    /// <param name="code">The machine's predecoded code.</param>
    /// <param name="translations">The machine's translated code; null to interpret.</param>
    internal VcpuCore(CpuIndex index, CpuModel model, PhysicalAddressSpace bus, CodeCache code, TranslationCache? translations)
    {
        Index = index;
        Mpidr = Mpidr.FromIndex(index);
        Model = model;
        Bus = bus;
        _code = code;
        _state = (CpuState*)NativeMemory.AlignedAlloc((nuint)ScalableRegisters.StateSizeOf(model), 64);
        NativeMemory.Clear(_state, (nuint)ScalableRegisters.StateSizeOf(model));
        Scalable = model.Has(Feature.Sve) ? new ScalableRegisters(model.VectorLengths, _state) : null;
        Interrupts = new CpuInterruptWord(_state);
        Debug = new DebugUnit(_state, Interrupts);
        Mmu = new VcpuMmu(_state, model, bus, code, Interrupts, Counters, hasJumps: translations != null);
        _translations = translations;
        translations?.Register(this);
        _engine = translations == null ? new InterpreterEngine(this)
            : translations.Turn == null ? new TranslatedEngine(this, translations)
            : new LockstepEngine(this, translations);
        Data = new DataPath(this) { Replay = _engine as IAccessReplay };
    }

    public VcpuCore(CpuIndex index, CpuModel model, PhysicalAddressSpace bus, CodeCache code)
        : this(index, model, bus, code, null)
    {
    }

    public CpuIndex Index { get; }

    public Mpidr Mpidr { get; }

    public CpuModel Model { get; }

    public PhysicalAddressSpace Bus { get; }

    /// <summary>The machine's predecoded code.</summary>
    internal CodeCache Code => _code;

    public CpuInterruptWord Interrupts { get; }

    /// <summary>The GIC CPU interface behind the ICC_* registers; without one they are UNDEFINED.</summary>
    public CpuInterface? Gic { get; set; }

    /// <summary>The generic timer; without one its registers are UNDEFINED.</summary>
    public GenericTimer? Timer { get; set; }

    /// <summary>The performance monitors; without them their registers are UNDEFINED.</summary>
    public Pmu? Pmu { get; set; }

    /// <summary>The registers of SVE; null without it.</summary>
    public ScalableRegisters? Scalable { get; }

    /// <summary>The receiver of HVC; without one HVC is UNDEFINED.</summary>
    public PsciController? Psci { get; set; }

    /// <summary>The trace of this vCPU; null for none. Set before it runs.</summary>
    public TraceLog? Trace
    {
        get => _trace;
        set
        {
            _trace = value;
            Debug.Tracing = value != null && value.Traces(TraceCategories.Insn);
            Debug.Update();
        }
    }

    /// <summary>The architectural state. Owner only, except <see cref="CpuState.Attention"/>.</summary>
    public CpuState* State => _state;

    /// <summary>Whether its code is translated, in lockstep too.</summary>
    internal bool IsTranslated => _translations != null;

    /// <summary>Whether execution state exists: the CPU is enabled for the guest.</summary>
    public bool IsEnabled { get; private set; }

    internal VcpuMmu Mmu { get; }

    internal DataPath Data { get; }

    /// <summary>The machine's other vCPUs, for maintenance that is broadcast; null for a vCPU that is tested alone.</summary>
    public TlbBroadcast? Broadcast { get; set; }

    /// <summary>Whether the owner is inside <see cref="Run"/>. Any thread.</summary>
    internal bool IsExecuting => Volatile.Read(ref _executing);

    /// <summary>Whether others wait for this vCPU in a DSB. Any thread.</summary>
    internal bool HasOpenTlbRequests => Mmu.HasOpenRequests && Volatile.Read(ref _executing);

    /// <summary>Whether the owner's thread is in translated code, or about to look whether it may enter. Any thread.</summary>
    internal bool InTranslatedCode => _engine.InTranslatedCode;

    /// <summary>Lockstep: instructions that both engines executed and agreed on, since creation. Any thread, roughly.</summary>
    public long LockstepInstructions => _engine is LockstepEngine lockstep ? lockstep.Instructions : 0;

    /// <summary>Lockstep: runs of translated code that were repeated by the interpreter, since creation. Any thread, roughly.</summary>
    public long LockstepRuns => _engine is LockstepEngine lockstep ? lockstep.Runs : 0;

    /// <summary>SCTLR_EL1.SA or SA0, for the current exception level.</summary>
    internal bool StackAlignmentChecked =>
        (_state->SctlrEl1 & (Pstate.ExceptionLevel(_state->Pstate) == 0 ? Sctlr.Sa0 : Sctlr.Sa)) != 0;

    /// <summary>Why the last <see cref="Run"/> returned; a handler that returns null has set it.</summary>
    internal VcpuExit ExitReason { get; set; }

    /// <summary>Instructions executed up to the end of the last <see cref="Run"/>. Written by the owner, read by any thread.</summary>
    public long InstructionCount { get; private set; }

    /// <summary>
    /// <see cref="InstructionCount"/> while instructions are executed: up to the last branch that was taken. Owner only.
    /// </summary>
    internal long InstructionsNow => InstructionCount + _budget - _state->Remaining;

    /// <summary>As <see cref="InstructionsNow"/>, without those that took an exception instead of being executed. Owner only.</summary>
    internal long InstructionsRetired => InstructionsNow - _notExecuted;

    /// <summary>
    /// Limits the instructions until the loop is left, counted from the last branch that was taken. Owner only; a handler may call it.
    /// </summary>
    internal void LimitBudget(long instructions)
    {
        long less = _state->Remaining - Math.Max(instructions, 0);
        if (less > 0)
        {
            _state->Remaining -= less;
            _budget -= less;
        }
    }

    internal VcpuCounters Counters { get; } = new();

    /// <summary>The source of RNDR.</summary>
    internal RandomSource Random { get; } = new();

    /// <summary>Makes the execution state of a CPU that is to run. No thread runs it yet.</summary>
    public void Enable()
    {
        if (!IsEnabled)
        {
            Mmu.SwitchContext();
            IsEnabled = true;
        }
    }

    /// <summary>The CPU executes no more. No thread runs it any more.</summary>
    public void Disable() => (IsEnabled, Page) = (false, null);

    /// <summary>Gives the memory of a disabled CPU's translations back to the host, which takes longer than all else about it.</summary>
    public void FreeTranslations() => Mmu.Release();

    /// <summary>
    /// A cold reset into EL1 (Arm ARM D1.3.1), with the PC and X0 of a boot loader or of PSCI CPU_ON. Interrupt inputs stay as they are.
    /// </summary>
    public void Reset(ulong pc, ulong x0)
    {
        CpuState* s = _state;

        // All but the two words that other threads write.
        byte* afterAttention = (byte*)(&s->InterruptInputs + 1);
        NativeMemory.Clear(s, (nuint)((byte*)&s->Attention - (byte*)s));
        NativeMemory.Clear(afterAttention, (nuint)((byte*)(s + 1) - afterAttention));
        s->Pstate = Pstate.DaifMask | Pstate.ModeEl1h;
        s->SctlrEl1 = Sctlr.Reset;
        s->OsLock = 1;
        s->X[0] = x0;
        s->Pc = pc;
        Scalable?.Reset();
        Timer?.Reset();
        Pmu?.Reset();
        Gic?.ResetCpuInterface();
        StateReplaced();
    }

    // Makes what follows from the architectural state anew: another one stands there.
    private void StateReplaced()
    {
        _state->CounterOrigin = Timer == null ? null : Timer.Clock.Origin;
        UpdateFpEnabled();
        PointerCode.UpdateMasks(this);
        Mmu.SwitchContext();
        Mmu.Flush();
        UpdateDebugRegisters();
    }

    /// <summary>
    /// Executes from <see cref="CpuState.Pc"/> until the budget, in instructions, is spent or something else needs the owner.
    /// Translated code looks at the budget where it leaves a block, so it may overrun it by one block.
    /// </summary>
    /// <exception cref="VcpuExecutionException">Something threw; other vCPUs are not held up by it.</exception>
    /// <exception cref="LockstepException">The engines differ.</exception>
    public VcpuExit Run(long budget)
    {
        CpuState* s = _state;
        s->Remaining = _budget = budget;
        Pmu?.BeginRun();
        Interrupts.AwaitNothing();
        Volatile.Write(ref _executing, true);
        Interlocked.MemoryBarrier();
        _engine.TakeTurn();
        try
        {
            Mmu.ServiceRequests();
            RunLoop(s);
        }
        catch (Exception e) when (e is not LockstepException)
        {
            throw new VcpuExecutionException(this, e);
        }
        finally
        {
            // Also when something threw: other vCPUs may wait for this one in a DSB, or to give up code.
            _engine.Abandon();
            Volatile.Write(ref _executing, false);
            _engine.GiveTurn();
        }

        InstructionCount += _budget - s->Remaining;
        _budget = s->Remaining;
        Pmu?.EndRun();
        VcpuExit exit = ExitReason;
        if (exit == VcpuExit.PoweredOff)
        {
            // Last of all: from here on another vCPU may power this one on again.
            Psci!.SetPower(Index, PowerState.Off);
        }

        return exit;
    }

    private void RunLoop(CpuState* s)
    {
        do
        {
            Leaving = true;
            Op* op = EnterAt(s->Pc);
            _engine.Run(s, op);
            if (!Leaving)
            {
                ExecuteOne();
            }
        }
        while (!Leaving);
    }

    /// <summary>A TLBI of this vCPU.</summary>
    internal void InvalidateTlb(TlbRequest request, bool broadcast)
    {
        Counters.TlbInvalidations[(int)request.Scope]++;
        Mmu.Invalidate(request);
        if (broadcast && Broadcast is { } others)
        {
            others.Request(this, request);
            _state->BroadcastOpen = 1;
        }
    }

    /// <summary>After an IC instruction of this vCPU: whether it found code changed.</summary>
    internal void NoteCodeChange(bool changed) => _codeChanged |= changed;

    /// <summary>DSB: completes the maintenance that this vCPU broadcast.</summary>
    internal void CompleteBroadcast()
    {
        Interlocked.MemoryBarrier();
        if (_codeChanged)
        {
            _translations?.FenceOthers(this);
            _codeChanged = false;
        }

        if (_state->BroadcastOpen != 0)
        {
            // In lockstep the other vCPUs need their turn to do the maintenance.
            _engine.GiveTurn();
            Broadcast!.Wait(this);
            _engine.TakeTurn();
            _state->BroadcastOpen = 0;
        }
    }

    /// <summary>
    /// Copies memory at virtual addresses as EL1 reads it, up to where none is mapped; see <see cref="VcpuMmu.Peek"/>. Owner only, or while
    /// the vCPU does not run.
    /// </summary>
    public int Peek(GuestVirtualAddress address, Span<byte> bytes) => Mmu.Peek(address, bytes);

    /// <summary>
    /// The cached data translations of the current translation tables, a line each. Owner only, or while the vCPU does not run.
    /// </summary>
    public string DescribeTlb() => Mmu.Describe();

    /// <summary>The general registers, as QEMU's <c>info registers</c> lays them out. Owner only, or while the vCPU does not run.</summary>
    public string DumpRegisters() => RegisterDump.Of(this, _state);

    /// <summary>
    /// Makes <see cref="Run"/> return <see cref="VcpuExit.Requested"/> soon, or at once when it is next called. Any thread.
    /// </summary>
    public void RequestExit() => Interrupts.Raise(AttentionBits.Exit);

    public void Dispose()
    {
        Disable();
        _engine.Dispose();
        Scalable?.Dispose();
        ColdOps.Dispose();
        NativeMemory.Free(_ownOps);
        _ownOps = null;
        NativeMemory.AlignedFree(_state);
        _state = null;
    }
}
