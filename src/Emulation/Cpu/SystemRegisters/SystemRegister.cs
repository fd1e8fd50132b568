using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.SystemRegisters;

internal unsafe delegate ulong ReadRegister(VcpuCore core, CpuState* s);

internal unsafe delegate void WriteRegister(VcpuCore core, CpuState* s, ulong value);

internal unsafe delegate bool TrapRegister(VcpuCore core, CpuState* s, bool write);

/// <summary>One system register: what MRS and MSR do with it.</summary>
internal sealed record SystemRegister(string Name, ReadRegister? Read, WriteRegister? Write = null)
{
    /// <summary>Whether EL0 may read it; false is UNDEFINED there.</summary>
    public bool El0Read { get; init; }

    public bool El0Write { get; init; }

    /// <summary>Whether an access that EL0 may make is trapped to EL1 by a control there.</summary>
    public TrapRegister? TrapEl0 { get; init; }

    /// <summary>Whether CPACR_EL1.FPEN traps it, as it does floating-point instructions.</summary>
    public bool FpSimd { get; init; }

    /// <summary>Whether CPACR_EL1.ZEN traps it, as it does instructions of SVE.</summary>
    public bool Scalable { get; init; }

    /// <summary>Without it the register is UNDEFINED.</summary>
    public Feature Feature { get; init; }

    /// <summary>The part of the machine that the register is of, or null; a vCPU without it has the register UNDEFINED.</summary>
    public Func<VcpuCore, object?>? Part { get; init; }

    /// <summary>Whether an access needs the exact number of instructions that were executed before it.</summary>
    public bool CountsInstructions { get; init; }

    public bool IsIn(VcpuCore core) => core.Has(Feature) && (Part == null || Part(core) != null);
}
