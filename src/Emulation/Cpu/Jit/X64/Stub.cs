using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Code to be written in the cold part of a block, to which the hot part jumps: what else may be done about a TLB miss, the call that
/// leaves, what the exit says (<see cref="ExitInfo"/>), and the way back.
/// </summary>
internal unsafe struct Stub
{
    public ExitKind Kind;

    /// <summary>The displacement of the jump of the hot part that leads here.</summary>
    public byte* Jump;

    /// <summary>The instruction that is left for, or before which the code leaves.</summary>
    public Op* Op;

    /// <summary>Interpret: instructions executed before it that are not yet taken off the budget.</summary>
    public int Count;

    /// <summary>Interpret: where the hot part goes on behind the instruction. Link: the displacement of the jump to be linked.</summary>
    public byte* Place;

    public ExitReason Reason;

    /// <summary>The instruction that flags must be made again from before the code leaves; null where they are settled.</summary>
    public Op* FlagSource;

    /// <summary>What to do about a miss of the TLB.</summary>
    public TlbMiss Miss;

    /// <summary>Which V registers were held where the hot part jumped here, and where it goes on.</summary>
    public VectorMap Before;
    public VectorMap After;

    /// <summary>What must be tested again on the way back.</summary>
    public FloatConditions Retest;

    /// <summary>The code behind the instruction relies on a cover: see <see cref="ExitInfo.Relies"/>.</summary>
    public bool Relies;

    /// <summary>The cover that the instruction leads, and that the way back must look up again; none where its length is 0.</summary>
    public TlbMiss Led;
}

/// <summary>
/// A look-up that may miss, as its stub needs to know it. <see cref="Length"/> is 0 where an instruction looks nothing up.
/// </summary>
internal unsafe struct TlbMiss
{
    /// <summary>
    /// The thunk that looks the TLB up for a base register whose last page was another; null where the hot part has looked the TLB up.
    /// </summary>
    public byte* Refill;

    /// <summary>Where the hot part goes on when the refill has found the page.</summary>
    public byte* Back;

    /// <summary>Bytes that are looked up.</summary>
    public int Length;

    /// <summary>The bytes are those of several accesses, and may lie in two pages.</summary>
    public bool Together;

    /// <summary>The look-up begins a cover.</summary>
    public bool Leads;

    /// <summary>Of a cover: its base register, the first byte from that register behind the instruction, and its index.</summary>
    public int Slot;
    public int From;
    public int Cover;
}
