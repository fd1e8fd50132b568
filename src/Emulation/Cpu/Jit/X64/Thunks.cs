using Vmm.Emulation.Cpu.Mmu;

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

    public byte* End { get; }

    /// <summary>The thunks as ranges with names, for profilers.</summary>
    public IReadOnlyList<NamedCode> Names =>
    [
        new((nint)Enter, (nint)Leave, "vmm:enter"),
        new((nint)Leave, (nint)RefillRead[0], "vmm:leave"),
        new((nint)RefillRead[0], (nint)StoreElements[0], "vmm:refill"),
        new((nint)StoreElements[0], (nint)End, "vmm:store-elements"),
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
