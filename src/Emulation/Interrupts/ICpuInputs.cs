namespace Vmm.Emulation.Interrupts;

/// <summary>The interrupt inputs of a CPU, which the interrupt controller drives.</summary>
public interface ICpuInputs
{
    const int Irq = 1;
    const int Fiq = 2;

    /// <summary>The inputs that are asserted: <see cref="Irq"/> | <see cref="Fiq"/>. PSTATE tells whether they are masked.</summary>
    int Inputs { get; }

    /// <summary>
    /// Drives <see cref="Irq"/> or <see cref="Fiq"/>. Any thread. The caller may hold a lock of the interrupt controller, so the method
    /// takes no lock.
    /// </summary>
    void SetInput(int input, bool level);
}
