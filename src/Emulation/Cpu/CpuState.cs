using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// The architectural state of one vCPU, in native memory so that translated code can address it with a base register.
/// Owner: the thread that runs the vCPU; any other thread only while the vCPU is paused, parked or off. The one exception is
/// <see cref="Attention"/> with <see cref="InterruptInputs"/>, which other threads set with interlocked operations.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct CpuState
{
    /// <summary>Register file slot that always reads zero: XZR as a source.</summary>
    public const int Zr = 31;

    /// <summary>Register file slot of the current stack pointer.</summary>
    public const int Sp = 32;

    /// <summary>Register file slot that is never read: XZR as a destination.</summary>
    public const int Sink = 33;

    /// <summary>Breakpoints, of which the last <see cref="ContextBreakpoints"/> compare CONTEXTIDR_EL1: ID_AA64DFR0_EL1.</summary>
    public const int Breakpoints = 6;
    public const int ContextBreakpoints = 2;
    public const int Watchpoints = 4;

    /// <summary>Words of <see cref="ScalableLive"/>.</summary>
    public const int ScalableLiveWords = 4;

    /// <summary>Words of <see cref="PointerKeys"/>.</summary>
    public const int PointerKeyWords = 10;

    /// <summary>Base registers: X0–X30 and SP.</summary>
    public const int Bases = 32;

    /// <summary>
    /// Work for the run loop, <see cref="AttentionBits"/>; every taken branch tests it for zero. Set by any thread with
    /// Interlocked.Or, cleared by the owner with Interlocked.And before it looks at what the bit stands for.
    /// </summary>
    public int Attention;

    /// <summary>
    /// The interrupt inputs that are asserted (<see cref="CpuInterruptWord.Inputs"/>). <see cref="CpuInterruptWord"/> alone writes them,
    /// with interlocked operations.
    /// </summary>
    public int InterruptInputs;

    /// <summary>Instructions left in the slice, less those executed since <see cref="RunStart"/>.</summary>
    public long Remaining;

    /// <summary>Virtual address of the 4 KiB page that is executing: PC = CodePageVa + op->Offset while in a handler.</summary>
    public ulong CodePageVa;

    /// <summary>Translated code: the flags between blocks in the form of the host, valid only while it runs.</summary>
    public uint HostFlags;

    /// <summary>
    /// Other bits of PSTATE at their positions in SPSR_EL1: M[4:0], DAIF 9:6, BTYPE 11:10, SSBS 12, IL 20, SS 21, PAN 22, UAO 23, DIT 24,
    /// TCO 25.
    /// </summary>
    public uint Pstate;

    /// <summary>Translated code: entries by virtual address, for the current exception level and translation tables.</summary>
    public Mmu.JumpCacheEntry* JumpCache;

    /// <summary>Translations for loads and stores in the current PSTATE: one of the TLB sets of the MMU.</summary>
    public TlbEntry* Tlb;

    /// <summary>X0–X30, then the slots <see cref="Zr"/>, <see cref="Sp"/> and <see cref="Sink"/>.</summary>
    public fixed ulong X[34];

    /// <summary>PSTATE.NZCV in bits 31:28, other bits zero.</summary>
    public uint Nzcv;

    /// <summary>Nonzero when this vCPU broadcast TLB maintenance that no DSB has completed yet.</summary>
    public int BroadcastOpen;

    /// <summary>Nonzero when CPACR_EL1.FPEN lets the current exception level use FP and SIMD. Kept by the exception code.</summary>
    public int FpEnabled;

    /// <summary>
    /// The vector length of SVE in bytes while CPACR_EL1.ZEN and FPEN let the current exception level use SVE; else 0. Kept by the
    /// exception code.
    /// </summary>
    public int ScalableLength;

    /// <summary>The op at which straight-line execution began: a taken branch counts from here.</summary>
    public Op* RunStart;

    /// <summary>PC while not in a handler: the next instruction.</summary>
    public ulong Pc;

    /// <summary>Translated code: what its last exit says.</summary>
    public Jit.ExitInfo* Exit;

    /// <summary>Translated code in lockstep: where it logs its next store.</summary>
    public Lockstep.StoreLogEntry* StoreLog;

    /// <summary>Translations with EL0's permissions, for LDTR and STTR.</summary>
    public TlbEntry* TlbUnprivileged;

    /// <summary>
    /// Translated code: the TLB entry that each base register of a load or store used last, by slot, with <see cref="Sp"/> at 31. They hold
    /// only what <see cref="Tlb"/> held since the translations in force were last changed.
    /// </summary>
    public fixed ulong BaseReadTag[Bases];
    public fixed ulong BaseWriteTag[Bases];
    public fixed ulong BaseAddend[Bases];

    /// <summary>
    /// Translated code: addends that a block has looked up for several accesses at a base register, for loads and then for stores.
    /// </summary>
    public fixed ulong CoverAddend[2 * Bases];

    // Exclusive monitor (Arm ARM B2.12): the address and the value that the last LDXR/LDXP saw.
    public ulong ExclusiveAddress;
    public ulong ExclusiveLow;
    public ulong ExclusiveHigh;

    /// <summary>Bytes marked by the monitor; 0 when open.</summary>
    public int ExclusiveSize;

    /// <summary>The event register of WFE/SEV.</summary>
    public int EventRegister;

    public uint Fpcr;
    public uint Fpsr;

    /// <summary>
    /// V0–V31: low half then high half of each. On a boundary of 16 bytes, as they are accessed: 8 bytes before them cost an exec 8 %.
    /// </summary>
    public fixed ulong V[64];

    /// <summary>The stack pointers by exception level; the current one lives in X[<see cref="Sp"/>].</summary>
    public ulong SpEl0;
    public ulong SpEl1;

    public ulong ElrEl1;
    public ulong SpsrEl1;
    public ulong EsrEl1;
    public ulong FarEl1;
    public ulong Afsr0El1;
    public ulong Afsr1El1;
    public ulong DisrEl1;
    public ulong VbarEl1;
    public ulong SctlrEl1;
    public ulong ActlrEl1;
    public ulong CpacrEl1;
    public ulong Ttbr0El1;
    public ulong Ttbr1El1;
    public ulong TcrEl1;
    public ulong MairEl1;
    public ulong AmairEl1;
    public ulong ContextidrEl1;
    public ulong ParEl1;
    public ulong TpidrEl0;
    public ulong TpidrroEl0;
    public ulong TpidrEl1;
    public ulong CsselrEl1;
    public ulong MdscrEl1;
    public uint OsLock;
    public uint DebugClaim;
    public fixed ulong Dbgbvr[Breakpoints];
    public fixed ulong Dbgbcr[Breakpoints];
    public fixed ulong Dbgwvr[Watchpoints];
    public fixed ulong Dbgwcr[Watchpoints];
    public ulong CntkctlEl1;

    /// <summary>Translated code: <see cref="Timers.VirtualClock.Origin"/>; null without a timer.</summary>
    public long* CounterOrigin;

    /// <summary>Branches that were executed since <see cref="Interpreter.CodeCache.CountBranches"/>.</summary>
    public long Branches;

    /// <summary>Memory tagging: see <see cref="SystemRegisters.TaggingRegisters"/>.</summary>
    public ulong GcrEl1;
    public ulong RgsrEl1;
    public ulong TfsrEl1;
    public ulong Tfsre0El1;

    /// <summary>The keys of pointer authentication: see <see cref="PointerAuthentication.PointerKey"/>.</summary>
    public fixed ulong PointerKeys[PointerKeyWords];

    /// <summary>
    /// The bits of a pointer that its code is made of, by TCR_EL1: of data in the upper and the lower range, then of instructions. Kept by
    /// whoever writes TCR_EL1.
    /// </summary>
    public fixed ulong PointerMasks[4];

    /// <summary>
    /// With SVE a byte for each of Z0–Z31: nonzero when the bits above the lowest 128 are those of <see cref="ScalableRegisters"/>, zero
    /// when they are zero.
    /// </summary>
    public fixed ulong ScalableLive[ScalableLiveWords];
}

/// <summary>Bits of <see cref="CpuState.Attention"/>.</summary>
[Flags]
public enum AttentionBits
{
    None = 0,

    /// <summary>The interrupt inputs of the vCPU changed: see whether one is to be taken.</summary>
    Interrupts = 1,

    /// <summary><see cref="VcpuCore.RequestExit"/>: leave the run loop.</summary>
    Exit = 2,

    /// <summary>Another vCPU broadcast TLB maintenance.</summary>
    TlbMaintenance = 4,

    /// <summary>Code has changed: leave it, and look it up anew.</summary>
    CodeChange = 16,

    /// <summary>An access needs a page that has not arrived: leave the run loop. Set and cleared by the owner.</summary>
    PageMissing = 32,

    /// <summary>
    /// Software step or a breakpoint can fire in the current state: one instruction at a time. Set and cleared by the owner.
    /// </summary>
    Debug = 8,
}
