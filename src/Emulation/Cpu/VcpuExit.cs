namespace Vmm.Emulation.Cpu;

/// <summary>Why <see cref="VcpuCore.Run"/> returned to the actor that owns the vCPU.</summary>
public enum VcpuExit
{
    /// <summary>The instruction budget of the slice is spent.</summary>
    BudgetSpent,

    /// <summary>Somebody called <see cref="VcpuCore.RequestExit"/>.</summary>
    Requested,

    /// <summary>WFI with nothing pending: park until woken.</summary>
    WaitForInterrupt,

    /// <summary>WFE with the event register clear: let others run for a moment, then go on.</summary>
    WaitForEvent,

    /// <summary>
    /// The next access needs a page of RAM that has not arrived, and was not made: park until it has. Interrupts are taken meanwhile.
    /// </summary>
    PageMissing,

    /// <summary>The guest called PSCI CPU_OFF on this vCPU.</summary>
    PoweredOff,

    /// <summary>The guest called PSCI SYSTEM_OFF.</summary>
    SystemOff,

    /// <summary>The guest called PSCI SYSTEM_RESET or SYSTEM_RESET2.</summary>
    SystemReset,
}
