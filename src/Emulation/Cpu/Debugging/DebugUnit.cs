using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Cpu.Debugging;

/// <summary>
/// The debug registers of a vCPU at work (Arm ARM D2): whether software step, breakpoints and watchpoints can fire, and which do. It takes
/// no exceptions. While step or a breakpoint can fire, <see cref="AttentionBits.Debug"/> stays set and the vCPU executes one instruction at
/// a time; pages with watchpoints are kept out of the TLB. Otherwise none of it costs anything. Owner: the vCPU's thread.
/// </summary>
internal sealed unsafe class DebugUnit(CpuState* state, CpuInterruptWord interrupts)
{
    private readonly CpuState* _state = state;

    /// <summary>Whether each instruction is traced, and so executed alone.</summary>
    public bool Tracing { get; set; }

    /// <summary>Whether any watchpoint is enabled.</summary>
    public bool Watching { get; private set; }

    /// <summary>Whether the instruction at the current state is to be stepped.</summary>
    public bool IsStepping => (_state->MdscrEl1 & Mdscr.Ss) != 0 && IsEnabled(_state->Pstate);

    /// <summary>
    /// Whether debug exceptions are enabled at an exception level with PSTATE.D as in <paramref name="pstate"/> (Arm ARM D2.4).
    /// </summary>
    public bool IsEnabled(uint pstate)
    {
        CpuState* s = _state;
        return s->OsLock == 0
            && (Pstate.ExceptionLevel(pstate) == 0 || ((s->MdscrEl1 & Mdscr.Kde) != 0 && (pstate & Pstate.D) == 0));
    }

    /// <summary>PSTATE.SS after an exception return: set only by a return from where stepping is disabled to where it is enabled.</summary>
    public uint StepAfterReturn(uint spsr) =>
        (_state->MdscrEl1 & Mdscr.Ss) != 0 && !IsEnabled(_state->Pstate) && IsEnabled(spsr) ? spsr & Pstate.Ss : 0;

    /// <summary>
    /// Chooses between full speed and one instruction at a time. After every change of PSTATE.D, the EL, or a debug register.
    /// </summary>
    public void Update()
    {
        CpuState* s = _state;
        bool active = Tracing || ((s->MdscrEl1 & (Mdscr.Ss | Mdscr.Mde)) != 0 && IsEnabled(s->Pstate)
            && ((s->MdscrEl1 & Mdscr.Ss) != 0 || AnyEnabled(s->Dbgbcr, CpuState.Breakpoints)));
        if (active)
        {
            interrupts.Note(AttentionBits.Debug);
        }
        else if ((s->Attention & (int)AttentionBits.Debug) != 0)
        {
            interrupts.Take(AttentionBits.Debug);
        }
    }

    /// <summary>
    /// After a write of a watchpoint register or of what enables watchpoints: whether translations in the TLB no longer hold.
    /// </summary>
    public bool UpdateWatchpoints()
    {
        CpuState* s = _state;
        bool watching = (s->MdscrEl1 & Mdscr.Mde) != 0 && s->OsLock == 0 && AnyEnabled(s->Dbgwcr, CpuState.Watchpoints);
        bool either = watching || Watching;
        Watching = watching;
        return either;
    }

    private static bool AnyEnabled(ulong* controls, int count)
    {
        ulong any = 0;
        for (int i = 0; i < count; i++)
        {
            any |= controls[i];
        }

        return (any & 1) != 0;
    }

    public bool BreakpointMatches(ulong pc)
    {
        CpuState* s = _state;
        if ((s->MdscrEl1 & Mdscr.Mde) == 0 || !IsEnabled(s->Pstate))
        {
            return false;
        }

        int level = Pstate.ExceptionLevel(s->Pstate);
        for (int i = 0; i < CpuState.Breakpoints; i++)
        {
            ulong control = s->Dbgbcr[i];
            if ((control & 1) == 0 || !StateMatches(control, level))
            {
                continue;
            }

            int type = (int)(control >> 20) & 0xF;
            bool matches = type switch
            {
                0 => AddressMatches(s->Dbgbvr[i], pc),
                1 => AddressMatches(s->Dbgbvr[i], pc) && LinkedContextMatches(control),
                2 => ContextMatches(i),
                _ => false,
            };
            if (matches)
            {
                return true;
            }
        }

        return false;
    }

    private static bool AddressMatches(ulong value, ulong pc) => ((value ^ pc) & 0x00FF_FFFF_FFFF_FFFC) == 0;

    // Only the last breakpoints compare contexts.
    private bool ContextMatches(int breakpoint) =>
        breakpoint >= CpuState.Breakpoints - CpuState.ContextBreakpoints && (uint)_state->Dbgbvr[breakpoint] == (uint)_state->ContextidrEl1;

    // LBN names a breakpoint that must be enabled and of type "linked context ID match".
    private bool LinkedContextMatches(ulong control)
    {
        int linked = (int)(control >> 16) & 0xF;
        return linked < CpuState.Breakpoints && (_state->Dbgbcr[linked] & 1) != 0
            && ((_state->Dbgbcr[linked] >> 20) & 0xF) == 3 && ContextMatches(linked);
    }

    // PMC or PAC bit 0 is EL1, bit 1 EL0; HMC and the secure values of SSC are reserved without EL2 and EL3.
    private static bool StateMatches(ulong control, int level) =>
        (control & (1 << 13)) == 0 && ((control >> 14) & 3) < 2 && ((control >> (level == 0 ? 2 : 1)) & 1) != 0;

    // Whether part of the page is watched, whoever accesses it: such a page never enters the TLB.
    public bool IsPageWatched(ulong va)
    {
        for (int i = 0; i < CpuState.Watchpoints; i++)
        {
            ulong pages = (ulong.MaxValue << Math.Max(12, (int)(_state->Dbgwcr[i] >> 24) & 0x1F)) & 0x00FF_FFFF_FFFF_FFFF;
            if ((_state->Dbgwcr[i] & 1) != 0 && ((_state->Dbgwvr[i] ^ va) & pages) == 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Looks for a watchpoint that an access meets, which translated without a fault.</summary>
    /// <param name="level">The exception level whose permissions the access has.</param>
    /// <param name="address">The first byte of the access that is watched.</param>
    public bool FindWatchpoint(ulong va, int size, int level, AccessType type, out ulong address)
    {
        CpuState* s = _state;
        address = 0;
        if (!IsEnabled(s->Pstate))
        {
            return false;
        }

        for (int i = 0; i < CpuState.Watchpoints; i++)
        {
            ulong control = s->Dbgwcr[i];
            bool direction = ((control >> (type == AccessType.Write ? 4 : 3)) & 1) != 0;
            int first;
            if ((control & 1) == 0 || !direction || !StateMatches(control, level) || (first = FirstWatchedByte(i, va, size)) < 0
                || ((control & (1 << 20)) != 0 && !LinkedContextMatches(control)))
            {
                continue;
            }

            address = va + (ulong)first;
            return true;
        }

        return false;
    }

    // AArch64.WatchpointByteMatch, for each byte of the access: the offset of the first that matches, or -1.
    private int FirstWatchedByte(int watchpoint, ulong va, int size)
    {
        ulong control = _state->Dbgwcr[watchpoint];
        ulong value = _state->Dbgwvr[watchpoint];
        int selectBits = (value & 4) != 0 ? 2 : 3;
        int mask = Math.Max(selectBits, (int)(control >> 24) & 0x1F);
        for (int i = 0; i < size; i++)
        {
            ulong address = va + (ulong)i;
            bool selected = ((control >> (5 + (int)(address & ((1ul << selectBits) - 1)))) & 1) != 0;
            if (selected && ((address ^ value) & (ulong.MaxValue << mask) & 0x00FF_FFFF_FFFF_FFFF) == 0)
            {
                return i;
            }
        }

        return -1;
    }
}
