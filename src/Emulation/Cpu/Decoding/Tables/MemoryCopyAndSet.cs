using Vmm.Emulation.Cpu.Interpreter.Handlers;
using static Vmm.Emulation.Cpu.Decoding.Effects;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>
/// Memory copy and memory set, FEAT_MOPS (Arm ARM C4.1.96). Hints that data will not be used again make no difference; the other two bits
/// of <c>oooo</c> give reads and writes the rights of EL0. A prologue that faults leaves the flags as they were, so it reads them.
/// </summary>
internal static unsafe class MemoryCopyAndSet
{
    public static readonly EncodingRow[] Rows =
    [
        new("00 011 0 01 00 0 sssss oooo 01 nnnnn ddddd", "CPYFP", Operation.Cpyfp,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | WriteRd | WriteRm | ReadFlags | WriteFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 0 01 01 0 sssss oooo 01 nnnnn ddddd", "CPYFM", Operation.Cpyfm,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 0 01 10 0 sssss oooo 01 nnnnn ddddd", "CPYFE", Operation.Cpyfe,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 1 01 00 0 sssss oooo 01 nnnnn ddddd", "CPYP", Operation.Cpyp,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | WriteRd | WriteRm | ReadFlags | WriteFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 1 01 01 0 sssss oooo 01 nnnnn ddddd", "CPYM", Operation.Cpym,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 1 01 10 0 sssss oooo 01 nnnnn ddddd", "CPYE", Operation.Cpye,
            ReadRd | ReadRm | ReadRn | WriteRn | Load | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Copy, Feature.Mops),
        new("00 011 0 01 11 0 sssss 00 oo 01 nnnnn ddddd", "SETP", Operation.Setp,
            ReadRd | ReadRm | ReadRn | WriteRn | Store | WriteRd | ReadFlags | WriteFlags, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mops),
        new("00 011 0 01 11 0 sssss 01 oo 01 nnnnn ddddd", "SETM", Operation.Setm,
            ReadRd | ReadRm | ReadRn | WriteRn | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mops),
        new("00 011 0 01 11 0 sssss 10 oo 01 nnnnn ddddd", "SETE", Operation.Sete,
            ReadRd | ReadRm | ReadRn | WriteRn | Store | ReadFlags, &MemoryOperations.Registers,
            &MemoryOperations.Set, Feature.Mops),
    ];
}
