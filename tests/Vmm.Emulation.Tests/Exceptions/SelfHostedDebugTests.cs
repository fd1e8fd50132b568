using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Tests.Exceptions;

public sealed unsafe class SelfHostedDebugTests : IDisposable
{
    private const uint Nop = 0xD503_201F;
    private const uint Eret = 0xD69F_03E0;
    private const uint Svc1 = 0xD400_0021;
    private const uint BrX0 = 0xD61F_0000;
    private const uint LdrX1X0 = 0xF940_0001;
    private const uint StrX1X0 = 0xF900_0001;
    private const uint StrbW1X0 = 0x3900_0001;
    private const uint LdxrX1X0 = 0xC85F_7C01;
    private const uint MsrMdscrX0 = 0xD510_0240;
    private const uint SamePage = 0x1400_0001;
    private const uint Stay = 0x1400_0000;
    private const uint Writable = 1;
    private const uint ReadOnly = 3;
    private const uint Isv = 1 << 24;
    private const uint DebugFault = 0x22;
    private const ulong El0Enabled = (2 << 1) | 1;
    private const ulong El1Enabled = (1 << 1) | 1;

    private readonly BareCore _core = new();

    private CpuState* State => _core.State;

    public void Dispose() => _core.Dispose();

    // At EL1, an ERET to a program at EL0 with SPSR.SS set.
    private void Step(long budget, params ReadOnlySpan<uint> program)
    {
        _core.Write(BareCore.Code, Eret);
        _core.Write(BareCore.Code + 0x100, program);
        State->MdscrEl1 = Mdscr.Ss;
        State->SpsrEl1 = Pstate.ModeEl0t | Pstate.Ss;
        State->ElrEl1 = BareCore.Code + 0x100;
        State->Pc = BareCore.Code;
        _core.Core.Debug.Update();
        _core.Core.Run(budget);
    }

    [Theory]
    [InlineData(Nop, 4, Isv | DebugFault)]
    [InlineData(SamePage, 4, Isv | DebugFault)]
    [InlineData(LdxrX1X0, 4, Isv | DebugFault | (1 << 6))]
    public void SoftwareStep_one_instruction_completes_then_traps(uint instruction, int advance, uint syndrome)
    {
        Map(ReadOnly);
        State->X[0] = BareCore.Data;
        Step(3, instruction, Nop);
        Assert.Equal(0x32u, _core.ExceptionClass);
        Assert.Equal(syndrome, _core.Syndrome);
        Assert.Equal(BareCore.Code + 0x100 + (ulong)advance, State->ElrEl1);
        Assert.Equal(0u, (uint)State->SpsrEl1 & Pstate.Ss);
        Assert.Equal(BareCore.Vectors + 0x400, State->Pc);
    }

    [Fact]
    public void SoftwareStep_branch_to_nowhere_traps_before_the_fetch_faults()
    {
        State->X[0] = 0x9000_0000;
        Step(3, BrX0);
        Assert.Equal(0x32u, _core.ExceptionClass);
        Assert.Equal(0x9000_0000ul, State->ElrEl1);
    }

    [Fact]
    public void SoftwareStep_instruction_that_faults_is_still_to_be_stepped()
    {
        State->X[0] = 0x9000_0000;
        Step(2, LdrX1X0);
        Assert.Equal(0x24u, _core.ExceptionClass);
        Assert.Equal(Pstate.Ss, (uint)State->SpsrEl1 & Pstate.Ss);
    }

    [Fact]
    public void SoftwareStep_SVC_is_over_and_its_return_traps_without_an_instruction()
    {
        Step(2, Svc1, Nop);
        Assert.Equal(0x15u, _core.ExceptionClass);
        Assert.Equal(0u, (uint)State->SpsrEl1 & Pstate.Ss);

        State->Pc = BareCore.Code;
        _core.Core.Run(2);
        Assert.Equal(0x32u, _core.ExceptionClass);
        Assert.Equal(DebugFault, _core.Syndrome);
        Assert.Equal(BareCore.Code + 0x104, State->ElrEl1);
    }

    [Fact]
    public void SoftwareStep_at_EL1_needs_KDE_and_PSTATE_D_clear()
    {
        _core.Write(BareCore.Code, MsrMdscrX0, Nop, Nop, Stay);
        State->X[0] = Mdscr.Ss | Mdscr.Kde;
        State->Pc = BareCore.Code;
        _core.Core.Run(3);
        Assert.Equal(BareCore.Code + 12, State->Pc);

        _core.Core.SetPstate(State->Pstate & ~Pstate.D);
        _core.Core.Run(1);
        Assert.Equal(0x33u, _core.ExceptionClass);
        Assert.Equal(BareCore.Code + 12, State->ElrEl1);
    }

    [Theory]
    [InlineData(El0Enabled, Mdscr.Mde, 0u, true)]
    [InlineData(El1Enabled, Mdscr.Mde, 0u, false)]
    [InlineData(El0Enabled & ~1ul, Mdscr.Mde, 0u, false)]
    [InlineData(El0Enabled, 0ul, 0u, false)]
    [InlineData(El0Enabled, Mdscr.Mde, 1u, false)]
    [InlineData(El0Enabled | (1 << 20) | (5 << 16), Mdscr.Mde, 0u, true)]
    [InlineData(El0Enabled | (1 << 20) | (4 << 16), Mdscr.Mde, 0u, false)]
    public void Breakpoint_fires_only_where_it_is_enabled(ulong control, ulong mdscr, uint osLock, bool fires)
    {
        State->ContextidrEl1 = 77;
        State->Dbgbvr[4] = 78;
        State->Dbgbvr[5] = 77;
        State->Dbgbcr[4] = State->Dbgbcr[5] = (3 << 20) | El0Enabled;
        State->Dbgbvr[1] = BareCore.Code + 8;
        State->Dbgbcr[1] = control;
        State->MdscrEl1 = mdscr;
        State->OsLock = osLock;
        _core.RunAtEl0(3, Nop, Nop, Nop, Stay);
        Assert.Equal(fires ? BareCore.Vectors + 0x400 : BareCore.Code + 12, State->Pc);
        if (fires)
        {
            Assert.Equal(0x30u, _core.ExceptionClass);
            Assert.Equal(DebugFault, _core.Syndrome);
            Assert.Equal(BareCore.Code + 8, State->ElrEl1);
        }
    }

    [Theory]
    [InlineData(StrX1X0, 0ul, 2ul, 0xFFul, true)]
    [InlineData(StrX1X0, 0ul, 1ul, 0xFFul, false)]
    [InlineData(LdrX1X0, 0ul, 1ul, 0xFFul, true)]
    [InlineData(LdrX1X0, 0ul, 2ul, 0xFFul, false)]
    [InlineData(StrbW1X0, 3ul, 2ul, 0x08ul, true)]
    [InlineData(StrbW1X0, 2ul, 2ul, 0x08ul, false)]
    [InlineData(StrX1X0, 8ul, 2ul, 0xFFul, false)]
    public void Watchpoint_matches_bytes_and_direction(uint instruction, ulong offset, ulong direction, ulong bytes, bool fires)
    {
        State->X[0] = BareCore.Data + offset;
        State->X[1] = ulong.MaxValue;
        Watch(BareCore.Data, El0Enabled | (direction << 3) | (bytes << 5));
        _core.RunAtEl0(1, instruction, Stay);
        Assert.Equal(fires ? BareCore.Vectors + 0x400 : BareCore.Code + 4, State->Pc);
        if (fires)
        {
            bool write = instruction != LdrX1X0;
            Assert.Equal(0x34u, _core.ExceptionClass);
            Assert.Equal(DebugFault | (write ? 1u << 6 : 0), _core.Syndrome);
            Assert.Equal(BareCore.Data + offset, State->FarEl1);
            Assert.Equal(0ul, _core.Read(BareCore.Data));
        }
    }

    [Fact]
    public void Watchpoint_in_the_second_page_of_a_store_that_crosses_leaves_both_unwritten()
    {
        Map(Writable);
        State->X[0] = BareCore.Data - 4;
        State->X[1] = ulong.MaxValue;
        Watch(BareCore.Data, El0Enabled | (2 << 3) | (1 << 5));
        _core.RunAtEl0(1, StrX1X0, Stay);
        Assert.Equal(0x34u, _core.ExceptionClass);
        Assert.Equal(0ul, _core.Read(BareCore.Data - 8));
        Assert.Equal(0ul, _core.Read(BareCore.Data));
    }

    [Fact]
    public void Watchpoint_set_after_the_page_was_used_is_seen()
    {
        Map(Writable);
        State->X[0] = BareCore.Data;
        _core.RunAtEl0(1, StrX1X0, Stay);
        Assert.Equal(BareCore.Code + 4, State->Pc);

        Watch(BareCore.Data, El0Enabled | (2 << 3) | (0xFF << 5));
        _core.RunAtEl0(1, StrX1X0, Stay);
        Assert.Equal(0x34u, _core.ExceptionClass);
    }

    private void Watch(ulong address, ulong control)
    {
        State->Dbgwvr[3] = address;
        State->Dbgwcr[3] = control;
        State->MdscrEl1 = Mdscr.Mde;
        _core.Core.UpdateDebugRegisters();
    }

    // One level-1 block of normal memory for EL0, with AP[2:1]; what EL0 may write, EL1 may not execute.
    private void Map(uint accessPermissions)
    {
        _core.Write(BareCore.Tables + 8, 0x4000_0000 | (1 << 10) | (3 << 8) | (accessPermissions << 6) | 1);
        State->MairEl1 = 0xFF;
        State->TcrEl1 = 25 | (1ul << 23);
        State->Ttbr0El1 = BareCore.Tables;
        State->SctlrEl1 = Sctlr.Reset | Sctlr.M;
        _core.Core.Mmu.SwitchContext();
        _core.Core.Mmu.Flush();
    }
}
