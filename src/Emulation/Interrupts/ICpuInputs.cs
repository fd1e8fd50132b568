namespace Vmm.Emulation.Interrupts;

/// <summary>The interrupt inputs of a CPU, which the interrupt controller drives.</summary>
public interface ICpuInputs
{
    const int Irq = 1;
    const int Fiq = 2;

    /// <summary>The inputs that are asserted now: <see cref="Irq"/> | <see cref="Fiq"/>. Whether they are masked, PSTATE says.</summary>
    int Inputs { get; }

    /// <summary>
    /// Drives <see cref="Irq"/> or <see cref="Fiq"/>. Any thread; a lock of the interrupt controller may be held, so it must take none.
    /// </summary>
    void SetInput(int input, bool level);
}
