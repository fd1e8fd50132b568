using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// What translated code needs of a host architecture: it makes code of blocks, and changes code that vCPUs may be executing. One instance
/// serves one translation cache. Addresses are those at which code is written. All is called with the lock of the cache, and nothing for a
/// block that runs: translated code goes from block to block, and out, by itself.
/// </summary>
internal unsafe interface IHostBackend
{
    /// <summary>Whether this host has all instructions that the back end emits.</summary>
    static abstract bool IsSupported { get; }

    /// <summary>The way into translated code, which returns an <see cref="ExitKind"/>.</summary>
    byte* Enter { get; }

    /// <summary>Where the thunks end, which were written when the back end was made.</summary>
    byte* ThunksEnd { get; }

    /// <summary>The thunks as ranges with names, for profilers.</summary>
    IReadOnlyList<NamedCode> Thunks { get; }

    /// <summary>Host bytes that a block can take in each of its two places, at most.</summary>
    int MaxBytes { get; }

    /// <summary>
    /// Bytes of the call in a stub that leaves. The stub of a link is this call alone; its <see cref="ExitInfo"/> follows.
    /// </summary>
    int CallLength { get; }

    /// <summary>Whether code is made of a row of the encoding table. All others are left to the interpreter.</summary>
    bool CanEmit(int row);

    /// <summary>Makes the code of a block.</summary>
    void Emit(BlockPlan plan, CodeSpace space);

    /// <summary>What an instruction became of the block that was emitted last.</summary>
    InstructionCode Describe(int index);

    /// <summary>
    /// Makes an entry of a block leave always, by one store. vCPUs that are in the block do so when they come to the entry.
    /// </summary>
    void CloseEntry(byte* entry);

    /// <summary>Where a jump leads, which is given by the place in it that is changed when it is linked.</summary>
    byte* TargetOf(byte* jump);

    /// <summary>Points a jump to a target, by one aligned store.</summary>
    /// <returns>What to give <see cref="Unlink"/>.</returns>
    int Link(byte* jump, byte* target);

    /// <summary>Points a jump to where it led before it was linked, by one aligned store.</summary>
    void Unlink(byte* jump, int original);

    /// <summary>Writes code as text, with what exits say behind the calls that leave.</summary>
    /// <param name="start">Where whole instructions begin, as written.</param>
    /// <param name="executableOffset">From where code is written to where it is executed, which is what the text shows.</param>
    /// <param name="write">Takes each line, with the address at which it is executed.</param>
    void Disassemble(byte* start, byte* end, nint executableOffset, CodeLine write);
}

/// <summary>A line of disassembled code.</summary>
internal unsafe delegate void CodeLine(byte* at, string text);

/// <summary>A range of code with a name.</summary>
internal readonly record struct NamedCode(nint Start, nint End, string Name);

/// <summary>What an instruction of a block became.</summary>
internal unsafe struct InstructionCode
{
    /// <summary>Its code in the hot part, as written.</summary>
    public byte* Start;
    public byte* End;

    /// <summary>Code was made of it; else it is left to the interpreter.</summary>
    public bool IsEmitted;

    /// <summary>How often it looks the TLB up, has a case that is left to the interpreter, has a jump that can be linked.</summary>
    public int LookUps;
    public int RareCases;
    public int Links;
}
