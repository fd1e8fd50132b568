namespace Vmm.Emulation.Interrupts;

/// <summary>Wakes the owner of a parked vCPU. It is called once for each change from Parked to Runnable, on any thread.</summary>
public interface IVcpuWaker
{
    void Wake();
}
