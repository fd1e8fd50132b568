namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>Bits of MDSCR_EL1 (Arm ARM D24.3.20) that something here acts on.</summary>
internal static class Mdscr
{
    /// <summary>Software step.</summary>
    public const ulong Ss = 1ul << 0;

    /// <summary>EL0 accesses to the debug communication channel are trapped.</summary>
    public const ulong Tdcc = 1ul << 12;

    /// <summary>Debug exceptions within EL1.</summary>
    public const ulong Kde = 1ul << 13;

    /// <summary>Breakpoints and watchpoints.</summary>
    public const ulong Mde = 1ul << 15;
}
