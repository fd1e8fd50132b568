namespace Vmm.Emulation.Interrupts;

/// <summary>Wakes the owner of a parked vCPU; called once per transition from Parked to Runnable, on any thread.</summary>
public interface IVcpuWaker
{
    void Wake();
}
