using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>Our vCPU, set up as Linux user mode has it: EL0, normal memory, no alignment checks, FP on, top bytes ignored.</summary>
internal sealed unsafe class EngineUnderTest : IDisposable
{
    private const ulong TableAddress = 0x1000;

    private readonly GuestMemory _region = new(new GuestPhysicalAddress(OracleRecord.Region), OracleRecord.RegionSize);
    private readonly GuestMemory _table = new(new GuestPhysicalAddress(TableAddress), GuestMemory.PageSize);
    private readonly CodeCache _code;
    private readonly VcpuCore _core;

    public EngineUnderTest(CpuModel model)
    {
        var bus = new PhysicalAddressSpace();
        bus.AddMemory(_region);
        bus.AddMemory(_table);
        _code = new CodeCache(model.Features);
        _core = new VcpuCore(new CpuIndex(0), model, bus, _code);
        _core.Reset(0, 0);
        _core.Enable();

        // One level-1 block: 1 GiB at 1 GiB, normal memory, read and write at EL0, accessed, not global.
        *(ulong*)(_table.Host + 8) = 0x4000_0000 | (1 << 11) | (1 << 10) | (3 << 8) | (1 << 6) | 1;
        CpuState* s = _core.State;
        s->MairEl1 = 0xFF;
        s->TcrEl1 = 25 | (1ul << 23) | (1ul << 37);
        s->Ttbr0El1 = TableAddress;
        s->SctlrEl1 = Sctlr.Reset | Sctlr.M | Sctlr.Uci | Sctlr.Uct | Sctlr.Dze | Sctlr.NTwe | Sctlr.NTwi;
        s->CpacrEl1 = 3 << 20;
        _core.SwitchContext();

        Span<uint> words = MemoryMarshal.Cast<byte, uint>(new Span<byte>(_region.Host, (int)OracleRecord.RegionSize));
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = unchecked((uint)i * OracleRecord.PatternStep);
        }

        CodeWords.Fill(OracleRecord.Breakpoint);
    }

    private Span<uint> CodeWords => MemoryMarshal.Cast<byte, uint>(
        _region.Span(new GuestPhysicalAddress(OracleRecord.Code), OracleRecord.CodeSize));

    public void Plant(ReadOnlySpan<ulong> slots)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            CodeWords[i * (OracleRecord.SlotSize / 4)] = (uint)slots[i];
            CodeWords[(i * (OracleRecord.SlotSize / 4)) + 1] = (uint)(slots[i] >> 32);
        }

        _code.InvalidateAll();
    }

    public void Run(ref OracleRecord r)
    {
        CpuState* s = _core.State;
        byte* window = _region.Host + (OracleRecord.Window - OracleRecord.Region);
        _core.SetPstate(Pstate.ModeEl0t);
        fixed (OracleRecord* p = &r)
        {
            new Span<ulong>(p->X, 31).CopyTo(new Span<ulong>(s->X, 31));
            new Span<ulong>(p->V, 64).CopyTo(new Span<ulong>(s->V, 64));
            new Span<byte>(p->Memory, OracleRecord.WindowSize).CopyTo(new Span<byte>(window, OracleRecord.WindowSize));
            s->X[CpuState.Sp] = p->Sp;
            s->Nzcv = (uint)p->Pstate;
            s->Fpsr = p->Fpsr;
            s->Fpcr = p->Fpcr;
            s->Pc = p->Pc;
            s->ExclusiveSize = 0;

            // One instruction, two in a sequence: the BRK or a taken branch then finds the budget spent.
            _core.Run(1);

            // TBI0: the fetch that no longer happens would take off the tag of an address in the lower half.
            p->Pc = (s->Pc & (1ul << 55)) == 0 ? s->Pc & (ulong.MaxValue >> 8) : s->Pc;
            p->End = (ulong)OracleEnd.Done;
            if (Pstate.ExceptionLevel(s->Pstate) != 0)
            {
                p->Pc = s->ElrEl1;
                p->End = (ulong)EndOf(s->EsrEl1);
                _core.SetPstate(Pstate.ModeEl0t);
            }

            new Span<ulong>(s->X, 31).CopyTo(new Span<ulong>(p->X, 31));
            new Span<ulong>(s->V, 64).CopyTo(new Span<ulong>(p->V, 64));
            new Span<byte>(window, OracleRecord.WindowSize).CopyTo(new Span<byte>(p->Memory, OracleRecord.WindowSize));
            p->Sp = s->X[CpuState.Sp];
            p->Pstate = s->Nzcv;
            p->Fpsr = s->Fpsr;
            p->Fpcr = s->Fpcr;
        }
    }

    private static OracleEnd EndOf(ulong esr)
    {
        const uint alignmentFault = 0x21;
        uint exceptionClass = (uint)(esr >> 26);
        return exceptionClass == ExceptionClass.Unknown ? OracleEnd.Undefined
            : exceptionClass == ExceptionClass.DataAbortLower ? ((esr & 0x3F) == alignmentFault ? OracleEnd.Bus : OracleEnd.Fault)
            : OracleEnd.Done;
    }

    public void Dispose()
    {
        _core.Dispose();
        _region.Dispose();
        _table.Dispose();
    }
}
