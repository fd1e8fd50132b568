using System.Numerics;
using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.Timers;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// The ways into translated code and out of it (System V AMD64 ABI, 3.2): pinned registers are loaded and stored, and NZCV changes between
/// PSTATE's form and that of LAHF and SETO. Both ways together take about 4 ns. The thunks are written once, at the start of the memory for
/// code. Addresses are those at which they are written.
/// </summary>
internal sealed unsafe class Thunks
{
    /// <summary>The bits of SF, ZF, CF and OF in AX behind LAHF and SETO AL. They are N, Z, C and V.</summary>
    public const uint FlagBits = 0xC101;
    public const int NzcvShift = 28;

    /// <summary>Bytes of the call that leaves, before what an exit says.</summary>
    public const int CallLength = 5;

    // CLOCK_MONOTONIC (clock_gettime(2)): that of Stopwatch.
    private const int ClockMonotonic = 1;

    private static readonly nint s_clockGetTime =
        NativeLibrary.GetExport(NativeLibrary.Load("libc", typeof(Thunks).Assembly, null), "clock_gettime");

    // The pins that a function of C may change.
    private static readonly Reg[] s_clobbered = [Reg.Rsi, Reg.Rdi, Reg.R8, Reg.R9, Reg.R10, Reg.R11];
    private static readonly Reg[] s_saved = [Reg.Rbx, Reg.Rbp, Reg.R12, Reg.R13, Reg.R14, Reg.R15];

    public Thunks(byte* start)
    {
        var a = new Assembler();
        a.MoveTo(start);
        Enter = start;
        EmitEnter(a);

        byte* leave = a.Position;
        Leave = leave;
        EmitLeave(a);

        LookUpSecond = a.Position;
        byte* miss = EmitSecondLookup(a);

        a.BindShort(miss);
        LeaveForLookup = a.Position;
        a.Store(true, HostRegisters.Pc, Reg.Rax);
        a.LoadImmediate(Reg.Rax, (ulong)ExitKind.Lookup);
        a.Jump(leave);

        LeaveForInterpreter = EmitCall(a, ExitKind.Interpret, leave);
        LeaveForLink = EmitCall(a, ExitKind.Link, leave);
        LeaveForAttention = EmitCall(a, ExitKind.Attention, leave);
        LeaveForApart = EmitCall(a, ExitKind.Apart, leave);
        LookUpRead = EmitLookUp(a, write: false);
        LookUpWrite = EmitLookUp(a, write: true);
        RefillRead = EmitRefills(a, write: false);
        RefillWrite = EmitRefills(a, write: true);
        StoreElements = EmitStoreElements(a);
        ReadCounter = EmitReadCounter(a);
        End = a.Position;
    }

    /// <summary>The way in: <c>int Enter(CpuState*, byte* code)</c>, which returns an <see cref="ExitKind"/>.</summary>
    public byte* Enter { get; }

    /// <summary>Jumped to by all others that leave, with an <see cref="ExitKind"/> in EAX.</summary>
    public byte* Leave { get; }

    /// <summary>
    /// Jumped to with a virtual address in RAX that the first place of the jump cache does not hold. Goes to its code if the second place
    /// holds it, in 11 instructions; else leaves.
    /// </summary>
    public byte* LookUpSecond { get; }

    /// <summary>Jumped to with the virtual address of the next instruction in RAX: leaves.</summary>
    public byte* LeaveForLookup { get; }

    public byte* LeaveForInterpreter { get; }

    public byte* LeaveForLink { get; }

    public byte* LeaveForAttention { get; }

    public byte* LeaveForApart { get; }

    /// <summary>
    /// Called: RAX = an address, RDX = the page of its last byte. Returns ZF = 1 where the TLB has the page for loads: RCX = the addend.
    /// </summary>
    public byte* LookUpRead { get; }

    /// <summary>The same for stores.</summary>
    public byte* LookUpWrite { get; }

    /// <summary>
    /// Called by a load or store whose base register used another page last, by <see cref="HostRegisters.BaseIndex"/>: RAX = the address,
    /// RDX = the page of its last byte. Returns ZF = 1 where the TLB has the page: RCX = the addend, and the base register has that entry
    /// now. 14 instructions.
    /// </summary>
    public byte*[] RefillRead { get; }

    /// <summary>The same for stores.</summary>
    public byte*[] RefillWrite { get; }

    /// <summary>Called: see <see cref="ScalableVectors.StoreElements"/>. By log2 of the bytes of an element.</summary>
    public byte*[] StoreElements { get; }

    /// <summary>
    /// Called, with no V register in a register of the host: RAX = CNTVCT_EL0 and ZF = 0; or ZF = 1 where the host's time alone does not
    /// tell the count. Two thirds of its 30 ns are the host's clock_gettime.
    /// </summary>
    public byte* ReadCounter { get; }

    public byte* End { get; }

    /// <summary>The thunks as ranges with names, for profilers.</summary>
    public IReadOnlyList<NamedCode> Names =>
    [
        new((nint)Enter, (nint)Leave, "vmm:enter"),
        new((nint)Leave, (nint)RefillRead[0], "vmm:leave"),
        new((nint)RefillRead[0], (nint)StoreElements[0], "vmm:refill"),
        new((nint)StoreElements[0], (nint)ReadCounter, "vmm:store-elements"),
        new((nint)ReadCounter, (nint)End, "vmm:read-counter"),
    ];

    // RDI = state, RSI = code.
    private static void EmitEnter(Assembler a)
    {
        foreach (Reg register in s_saved)
        {
            a.Push(register);
        }

        a.Lea(true, Reg.Rbp, Operand.At(Reg.Rdi, HostRegisters.Bias));
        a.Load(true, Reg.Rax, Reg.Rsi);
        a.Load(false, Reg.Rcx, HostRegisters.Nzcv);
        a.ShiftImmediate(Shift.Shr, false, Reg.Rcx, NzcvShift);
        a.LoadImmediate(Reg.Rdx, FlagBits);
        a.ScatterBits(false, Reg.Rcx, Reg.Rcx, Reg.Rdx);
        a.Store(false, HostRegisters.HostFlags, Reg.Rcx);
        foreach ((int slot, Reg register) in HostRegisters.Pins)
        {
            a.Load(true, register, HostRegisters.Slot(slot));
        }

        a.JumpTo(Reg.Rax);
    }

    private static byte* EmitSecondLookup(Assembler a)
    {
        a.Load(true, Reg.Rcx, Reg.Rax);
        a.ShiftImmediate(Shift.Shr, true, Reg.Rcx, JumpCacheEntry.SecondShift);
        a.Alu(Alu.Xor, false, Reg.Rcx, Reg.Rax);
        a.AluImmediate(Alu.And, false, Reg.Rcx, (JumpCacheEntry.SecondCount - 1) << 2);
        a.Load(true, Reg.Rdx, HostRegisters.JumpCache);
        a.Lea(true, Reg.Rdx, Operand.At(Reg.Rdx, Reg.Rcx, 2) with { Displacement = JumpCacheEntry.Count * sizeof(JumpCacheEntry) });
        a.Alu(Alu.Cmp, true, Reg.Rax, Operand.At(Reg.Rdx));
        byte* miss = a.JumpShort(Condition.NotEqual);
        EmitGo(a);
        return miss;
    }

    /// <summary>Goes to the code of the jump cache's entry at RDX, for the virtual address in RAX.</summary>
    public static void EmitGo(Assembler a)
    {
        a.AluImmediate(Alu.And, true, Reg.Rax, -4096);
        a.Store(true, HostRegisters.CodePageVa, Reg.Rax);
        a.JumpTo(Operand.At(Reg.Rdx, 8));
    }

    // EAX = what to return.
    private static void EmitLeave(Assembler a)
    {
        foreach ((int slot, Reg register) in HostRegisters.Pins)
        {
            a.Store(true, HostRegisters.Slot(slot), register);
        }

        a.Load(false, Reg.Rcx, HostRegisters.HostFlags);
        a.LoadImmediate(Reg.Rdx, FlagBits);
        a.GatherBits(false, Reg.Rcx, Reg.Rcx, Reg.Rdx);
        a.ShiftImmediate(Shift.Shl, false, Reg.Rcx, NzcvShift);
        a.Store(false, HostRegisters.Nzcv, Reg.Rcx);
        foreach (Reg register in s_saved.Reverse())
        {
            a.Pop(register);
        }

        a.Return();
    }

    private static byte* EmitLookUp(Assembler a, bool write)
    {
        byte* start = a.Position;
        byte* miss = EmitCompare(a, write);
        a.Load(true, Reg.Rcx, Operand.At(Reg.Rcx, TlbEntry.AddendOffset));
        a.BindShort(miss);
        a.Return();
        return start;
    }

    // RCX = the TLB entry of the address in RAX; jumps where it is not that of the page in RDX.
    private static byte* EmitCompare(Assembler a, bool write)
    {
        a.Load(false, Reg.Rcx, Reg.Rax);
        a.ShiftImmediate(Shift.Shr, false, Reg.Rcx, 7);
        a.AluImmediate(Alu.And, false, Reg.Rcx, (TlbEntry.Count - 1) << 5);
        a.Alu(Alu.Add, true, Reg.Rcx, HostRegisters.Tlb);
        a.Alu(Alu.Cmp, true, Reg.Rdx, Operand.At(Reg.Rcx, write ? TlbEntry.WriteTagOffset : TlbEntry.ReadTagOffset));
        return a.JumpShort(Condition.NotEqual);
    }

    private static byte*[] EmitRefills(Assembler a, bool write)
    {
        var entries = new byte*[CpuState.Bases];
        for (int i = 0; i < CpuState.Bases; i++)
        {
            int slot = i == CpuState.Bases - 1 ? CpuState.Sp : i;
            entries[i] = a.Position;
            byte* miss = EmitCompare(a, write);
            foreach (bool tag in (ReadOnlySpan<bool>)[false, true])
            {
                a.Load(true, Reg.Rdx, Operand.At(Reg.Rcx, tag ? TlbEntry.WriteTagOffset : TlbEntry.ReadTagOffset));
                a.Store(true, HostRegisters.BaseTag(slot, tag), Reg.Rdx);
            }

            a.Load(true, Reg.Rcx, Operand.At(Reg.Rcx, TlbEntry.AddendOffset));
            a.Store(true, HostRegisters.BaseAddend(slot), Reg.Rcx);
            a.BindShort(miss);
            a.Return();
        }

        return entries;
    }

    // A bit of an element in RDX has the number of its first byte.
    private static byte*[] EmitStoreElements(Assembler a)
    {
        const int sizes = 4;
        var entries = new byte*[sizes];
        for (int size = 0; size < sizes; size++)
        {
            entries[size] = a.Position;
            a.Test(true, Reg.Rdx, Reg.Rdx);
            byte* none = a.JumpShort(Condition.Equal);
            a.Push(Reg.Rbx);
            a.Alu(Alu.Add, true, Reg.Rcx, Reg.Rax);
            byte* next = a.Position;
            a.TrailingZeros(true, Reg.Rax, Reg.Rdx);
            Operand room = HostRegisters.ScalableRoom(0);
            a.LoadSized(Reg.Rbx, room with { Index = Reg.Rax }, 1 << size, signed: false, wide: false);
            a.StoreSized(Operand.At(Reg.Rcx, Reg.Rax, 0), Reg.Rbx, 1 << size);
            a.ClearLowestBit(true, Reg.Rdx, Reg.Rdx);
            a.JumpBack(Condition.NotEqual, next);
            a.Pop(Reg.Rbx);
            a.BindShort(none);
            a.Return();
        }

        return entries;
    }

    // The stack is aligned to 16 bytes behind the call that came here.
    private static byte* EmitReadCounter(Assembler a)
    {
        const int frame = 24;
        byte* start = a.Position;
        a.Load(true, Reg.Rax, HostRegisters.CounterOrigin);
        a.Test(true, Reg.Rax, Reg.Rax);
        byte* none = a.JumpShort(Condition.Equal);
        a.Load(true, Reg.Rax, Operand.At(Reg.Rax));
        a.Test(true, Reg.Rax, Reg.Rax);
        byte* still = a.JumpShort(Condition.Equal);
        foreach (Reg register in s_clobbered)
        {
            a.Push(register);
        }

        a.Push(Reg.Rax);
        a.Lea(true, Reg.Rsp, Operand.At(Reg.Rsp, -frame));
        a.LoadImmediate(Reg.Rdi, ClockMonotonic);
        a.Load(true, Reg.Rsi, Reg.Rsp);
        a.LoadImmediate(Reg.Rax, (ulong)s_clockGetTime);
        a.CallTo(Reg.Rax);

        // Of a timespec: seconds, then ns.
        a.LoadImmediate(Reg.Rax, VirtualClock.NanosecondsPerSecond);
        a.Multiply(true, Reg.Rax, Operand.At(Reg.Rsp));
        a.Alu(Alu.Add, true, Reg.Rax, Operand.At(Reg.Rsp, sizeof(long)));
        a.Lea(true, Reg.Rsp, Operand.At(Reg.Rsp, frame));
        a.Pop(Reg.Rcx);
        foreach (Reg register in s_clobbered.Reverse())
        {
            a.Pop(register);
        }

        a.Alu(Alu.Sub, true, Reg.Rax, Reg.Rcx);
        a.ShiftImmediate(Shift.Shr, true, Reg.Rax, BitOperations.Log2(VirtualClock.NanosecondsPerSecond / VirtualClock.Frequency));
        a.Test(true, Reg.Rsp, Reg.Rsp);
        a.BindShort(none);
        a.BindShort(still);
        a.Return();
        return start;
    }

    // Called: what the exit says lies behind the call.
    private static byte* EmitCall(Assembler a, ExitKind kind, byte* leave)
    {
        byte* start = a.Position;
        a.PopTo(HostRegisters.Exit);
        a.LoadImmediate(Reg.Rax, (ulong)kind);
        a.Jump(leave);
        return start;
    }
}
