namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// The effects of an instruction, beside reading its own word and setting the PC to the next instruction. A register is named by the field
/// of <see cref="Interpreter.Op"/> that holds its number: R for general registers, V for SIMD and FP registers. An effect that is not set
/// does not happen, unless the instruction takes an exception. A row without any (<see cref="Unknown"/>) may have all effects.
/// <c>EffectsTests</c> compares each row with random runs of the interpreter.
/// </summary>
[Flags]
public enum Effects : uint
{
    /// <summary>Nothing is stated: everything may be read and written.</summary>
    Unknown = 0,

    /// <summary>Stated: nothing beside what other bits say.</summary>
    None = 1 << 0,

    ReadRd = 1 << 1,
    ReadRn = 1 << 2,
    ReadRm = 1 << 3,
    ReadRa = 1 << 4,
    WriteRd = 1 << 5,
    WriteRn = 1 << 6,
    WriteRm = 1 << 7,
    WriteRa = 1 << 8,

    /// <summary>X30.</summary>
    WriteLink = 1 << 9,

    /// <summary>Rd, Rm and Ra each stand for themselves and the next register.</summary>
    Pairs = 1 << 10,

    ReadVd = 1 << 11,
    ReadVn = 1 << 12,
    ReadVm = 1 << 13,
    ReadVa = 1 << 14,
    WriteVd = 1 << 15,
    WriteVa = 1 << 16,

    /// <summary>
    /// Vd of a load or store, Vn of a table look-up: the first of several registers, V0 behind V31. There are as many as <c>Op.Ra</c> says,
    /// and one for each 16 of <c>Op.Imm</c>.
    /// </summary>
    List = 1 << 17,

    ReadFlags = 1 << 18,

    /// <summary>All four of NZCV.</summary>
    WriteFlags = 1 << 19,

    Load = 1 << 20,
    Store = 1 << 21,

    /// <summary>A scalar form reads Vd, too, while FPCR.NEP is set.</summary>
    ReadFpcr = 1 << 22,

    /// <summary>Sets cumulative bits of FPSR; never clears one.</summary>
    WriteFpsr = 1 << 23,

    /// <summary>Floating point that rounds or raises exceptions.</summary>
    Fp = ReadFpcr | WriteFpsr,

    /// <summary>The next instruction may be another than the following one.</summary>
    Jump = 1 << 24,

    /// <summary>The exclusive monitor, the event register, or what has been prefetched.</summary>
    LocalState = 1 << 25,

    /// <summary>System registers, PSTATE beside NZCV, or waiting; it depends on the exception level.</summary>
    SystemState = 1 << 26,

    /// <summary>SVE: any of Z0–Z31, P0–P15 and FFR may be read and written.</summary>
    Scalable = 1 << 27,
}
