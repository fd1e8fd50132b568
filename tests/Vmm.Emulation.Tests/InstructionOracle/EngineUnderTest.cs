using System.Runtime.InteropServices;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.PointerAuthentication;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>Our vCPU, set up as Linux user mode has it: EL0, normal memory, no alignment checks, FP on, top bytes ignored.</summary>
internal sealed unsafe class EngineUnderTest : IDisposable
{
    private const ulong TableAddress = 0x1000;

    // Only EL1 has it, at its physical address: WFI, and B to it, wherever an exception goes.
    private const ulong VectorAddress = 0x2000;
    private const ulong WfiForever = 0x17FF_FFFF_D503_207F;

    private readonly GuestMemory _region = new(new GuestPhysicalAddress(OracleRecord.Region), OracleRecord.RegionSize);
    private readonly GuestMemory _table = new(new GuestPhysicalAddress(TableAddress), 2 * GuestMemory.PageSize);
    private readonly CodeCache _code;
    private readonly VcpuCore _core;

    private readonly TranslationCache? _translations;

    public EngineUnderTest(CpuModel model, Accelerator accelerator, long capacity = 16 << 20, bool dual = false, int cold = 0)
    {
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(_region);
        bus.AddMemory(_table);
        _code = new CodeCache(model);
        _translations = accelerator == Accelerator.Interpreter
            ? null
            : TranslationCache.TryCreate(_code, capacity, dual, accelerator == Accelerator.Lockstep, cold);
        _core = new VcpuCore(new CpuIndex(0), model, bus, _code, _translations);
        _core.Reset(0, 0);
        _core.Enable();

        // One level-1 block: 1 GiB at 1 GiB, normal memory, read and write at EL0, accessed, not global.
        *(ulong*)(_table.Host + 8) = 0x4000_0000 | (1 << 11) | (1 << 10) | (3 << 8) | (1 << 6) | 1;
        *(ulong*)_table.Host = (1ul << 54) | (1 << 10) | (3 << 8) | 1;
        new Span<ulong>(_table.Host + GuestMemory.PageSize, GuestMemory.PageSize / sizeof(ulong)).Fill(WfiForever);
        CpuState* s = _core.State;
        s->VbarEl1 = VectorAddress;
        s->MairEl1 = 0xFF;
        s->TcrEl1 = 25 | (1ul << 23) | (1ul << 37);
        s->Ttbr0El1 = TableAddress;
        s->SctlrEl1 = Sctlr.Reset | Sctlr.M | Sctlr.Uci | Sctlr.Uct | Sctlr.Dze | Sctlr.MscEn | Sctlr.NTwe | Sctlr.NTwi;
        s->SctlrEl1 |= Sctlr.EnIA | Sctlr.EnIB | Sctlr.EnDA | Sctlr.EnDB;
        for (ulong i = 0; i < 10; i++)
        {
            // Keys of pointer authentication: any that differ.
            s->PointerKeys[i] = (i + 1) * 0x9E37_79B9_7F4A_7C15;
        }

        PointerCode.UpdateMasks(_core);
        s->CpacrEl1 = (3 << 20) | (3 << 16);
        _core.Mmu.SwitchContext();
        _core.Scalable?.SetZcr(0xF);

        FillPattern(0, (int)OracleRecord.RegionSize);

        CodeWords.Fill(OracleRecord.Breakpoint);
    }

    private void FillPattern(int start, int length)
    {
        Span<uint> words = MemoryMarshal.Cast<byte, uint>(new Span<byte>(_region.Host + start, length));
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = unchecked(((uint)i + ((uint)start / sizeof(uint))) * OracleRecord.PatternStep);
        }
    }

    private Span<uint> CodeWords => MemoryMarshal.Cast<byte, uint>(
        _region.Span(new GuestPhysicalAddress(OracleRecord.Code), OracleRecord.CodeSize));

    /// <summary>Instructions compared in lockstep.</summary>
    public long LockstepInstructions => _core.LockstepInstructions;

    /// <summary>In lockstep, the host code of the block that begins at an address; to be changed.</summary>
    public Span<byte> TranslatedCode(ulong address)
    {
        byte* entry = _translations!.EntryOf(PageOf(address), (int)(address & 0xFFF) >> 2);
        BlockCode block = _translations!.BlockAt(entry, out _);
        return new Span<byte>(entry, (int)(block.HotEnd - block.Hot));
    }

    /// <summary>Puts a program at the start of the code.</summary>
    public void PlantProgram(ReadOnlySpan<uint> words)
    {
        words.CopyTo(CodeWords);
        _code.InvalidateAll();
    }

    public void Plant(ReadOnlySpan<ulong> slots)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            CodeWords[i * (OracleRecord.SlotSize / 4)] = (uint)slots[i];
            CodeWords[(i * (OracleRecord.SlotSize / 4)) + 1] = (uint)(slots[i] >> 32);
        }

        _code.InvalidateAll();
    }

    /// <summary>The same on a CPU with SVE, with the longest vectors that it has.</summary>
    public void Run(ref OracleRecord r, ScalableRecord scalable)
    {
        CpuState* s = Set(ref r);
        scalable.CopyTo(s, _core.Scalable!);
        Finish(s, ref r);
        scalable.CopyFrom(s, _core.Scalable!);
    }

    /// <summary>One instruction, two in a sequence: the BRK or a taken branch then finds the budget spent.</summary>
    public void Run(ref OracleRecord r)
    {
        CpuState* s = Set(ref r);
        Finish(s, ref r);
    }

    private void Finish(CpuState* s, ref OracleRecord r)
    {
        _core.Run(1);
        ulong pc = s->Pc;
        r.End = (ulong)OracleEnd.Done;
        if (Pstate.ExceptionLevel(s->Pstate) != 0)
        {
            pc = s->ElrEl1;
            r.End = (ulong)EndOf(s->EsrEl1);
        }
        else if ((pc & (1ul << 55)) == 0)
        {
            // TBI0: the fetch that no longer happens would take off the tag of an address in the lower half.
            pc &= ulong.MaxValue >> 8;
        }

        Get(ref r);
        r.Pc = pc;
    }

    /// <summary>
    /// Runs a program until it waits for an interrupt, with <see cref="OracleRecord.End"/> 0, or takes an exception, with the address of
    /// that as its PC; or about as many instructions as the budget.
    /// </summary>
    public VcpuExit RunProgram(ref OracleRecord r, long budget)
    {
        CpuState* s = Set(ref r);
        VcpuExit exit = _core.Run(budget);
        bool exception = Pstate.ExceptionLevel(s->Pstate) != 0;
        r.End = exception ? (ulong)EndOf(s->EsrEl1) : 0;
        ulong pc = exception ? s->ElrEl1 : s->Pc;
        Get(ref r);
        r.Pc = pc;
        return exit;
    }

    /// <summary>The same on a CPU with SVE.</summary>
    public VcpuExit RunProgram(ref OracleRecord r, long budget, ScalableRecord scalable)
    {
        scalable.CopyTo(_core.State, _core.Scalable!);
        VcpuExit exit = RunProgram(ref r, budget);
        scalable.CopyFrom(_core.State, _core.Scalable!);
        return exit;
    }

    internal CpuState* State => _core.State;

    internal TranslationCache? Translations => _translations;

    internal CodePage PageOf(ulong address) => _code.Get(_region, address);

    /// <summary>What <c>info jit</c> says.</summary>
    public string DescribeJit() => JitReport.Describe(_translations!.Statistics, [_core], _code);

    /// <summary>How often translated code was left in a way: see <see cref="ExitCounters"/>.</summary>
    public long Exits(int counter) => _core.Counters.Exits?[counter] ?? 0;

    private CpuState* Set(ref OracleRecord r)
    {
        CpuState* s = _core.State;
        byte* window = _region.Host + (OracleRecord.Window - OracleRecord.Region);
        FillPattern((int)(OracleRecord.Window - OracleRecord.Region) - OracleRecord.WindowSize, OracleRecord.WindowSize);
        _core.SetPstate(Pstate.ModeEl0t);
        fixed (OracleRecord* p = &r)
        {
            new Span<ulong>(p->X, 31).CopyTo(new Span<ulong>(s->X, 31));
            new Span<ulong>(p->V, 64).CopyTo(new Span<ulong>(s->V, 64));
            new Span<byte>(p->Memory, OracleRecord.WindowSize).CopyTo(new Span<byte>(window, OracleRecord.WindowSize));
        }

        s->X[CpuState.Sp] = r.Sp;
        s->Nzcv = (uint)r.Pstate;
        s->Fpsr = r.Fpsr;
        s->Fpcr = r.Fpcr & Fpcr.WritableOn(_core.Model);
        s->Pc = r.Pc;
        s->ExclusiveSize = 0;
        return s;
    }

    private void Get(ref OracleRecord r)
    {
        CpuState* s = _core.State;
        byte* window = _region.Host + (OracleRecord.Window - OracleRecord.Region);
        _core.SetPstate(Pstate.ModeEl0t);
        fixed (OracleRecord* p = &r)
        {
            new Span<ulong>(s->X, 31).CopyTo(new Span<ulong>(p->X, 31));
            new Span<ulong>(s->V, 64).CopyTo(new Span<ulong>(p->V, 64));
            new Span<byte>(window, OracleRecord.WindowSize).CopyTo(new Span<byte>(p->Memory, OracleRecord.WindowSize));
        }

        r.Sp = s->X[CpuState.Sp];
        r.Pstate = s->Nzcv;
        r.Fpsr = s->Fpsr;
        r.Fpcr = s->Fpcr;
    }

    private static OracleEnd EndOf(ulong esr)
    {
        const uint alignmentFault = 0x21;
        uint exceptionClass = (uint)(esr >> 26);
        return exceptionClass is ExceptionClass.Unknown or ExceptionClass.MemoryOperation or ExceptionClass.PointerAuthentication
            ? OracleEnd.Undefined
            : exceptionClass == ExceptionClass.DataAbortLower ? ((esr & 0x3F) == alignmentFault ? OracleEnd.Bus : OracleEnd.Fault)
            : OracleEnd.Done;
    }

    public void Dispose()
    {
        _core.Dispose();
        _translations?.Dispose();
        _region.Dispose();
        _table.Dispose();
    }
}
