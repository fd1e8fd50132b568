using System.Runtime.InteropServices;

namespace Vmm.Emulation.Tests.InstructionOracle;

/// <summary>A user-mode state before or after an instruction: <c>struct record</c> of oracle.c.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OracleRecord
{
    public const ulong Region = 0x4FE0_0000;
    public const ulong RegionSize = 0x40_0000;
    public const ulong Code = 0x5000_0000;
    public const int CodeSize = 0x1_0000;
    public const int SlotSize = 64;

    /// <summary>The memory whose contents belong to the state; accesses are aimed at its middle.</summary>
    public const ulong Window = 0x5008_0000;
    public const int WindowSize = 256;

    public const uint Breakpoint = 0xD420_0000;

    /// <summary>The contents of the region where nothing else was written, by index of 32-bit word.</summary>
    public const uint PatternStep = 0x9E37_79B1;

    public fixed ulong X[31];
    public ulong Sp;
    public ulong Pc;

    /// <summary>NZCV in bits 31:28.</summary>
    public ulong Pstate;

    /// <summary>Afterwards: how it ended, an <see cref="OracleEnd"/>.</summary>
    public ulong End;

    public uint Fpsr;
    public uint Fpcr;
    public fixed ulong V[64];
    public fixed byte Memory[WindowSize];
}

/// <summary>How a case ended: the signal numbers of Linux.</summary>
internal enum OracleEnd : ulong
{
    Undefined = 4,

    /// <summary>The BRK after the instructions, or wherever a branch went.</summary>
    Done = 5,

    /// <summary>SIGBUS: alignment.</summary>
    Bus = 7,

    /// <summary>SIGSEGV: nothing mapped there.</summary>
    Fault = 11,
}
