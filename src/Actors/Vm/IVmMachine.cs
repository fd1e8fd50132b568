using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Interrupts;

namespace Vmm.Actors.Vm;

/// <summary>
/// What the actors need of one vCPU's engine. Everything but <see cref="RequestExit"/> and <see cref="IsParked"/> is for the vCPU's actor.
/// </summary>
public interface IVcpu
{
    VcpuExit Run(long budget);

    /// <summary>Makes <see cref="Run"/> return soon, or at once when next called, and wakes a parked vCPU. Any thread.</summary>
    void RequestExit();

    /// <summary>Whether a WFI has something to return for.</summary>
    bool HasWakeup { get; }

    /// <summary>False: do not wait. True: one <see cref="IVcpuWaker.Wake"/> comes.</summary>
    bool TryPark();

    /// <summary>
    /// Whether the CPU waits in WFI at this moment, between <see cref="TryPark"/> and its wake-up or <see cref="Unpark"/>. Any thread.
    /// </summary>
    bool IsParked { get; }

    void Unpark();

    void SetWaker(IVcpuWaker? waker);

    /// <summary>PSCI CPU_ON: resets the CPU to the entry point, with the context in X0, and publishes On.</summary>
    void PowerOn(GuestPhysicalAddress entryPoint, ulong context);

    /// <summary>Registers as text, for a crash report. The vCPU does not run.</summary>
    string DumpRegisters();

    /// <summary>The cached translations as text. The vCPU does not run.</summary>
    string DescribeTlb();

    /// <summary>Memory at virtual addresses, up to where none is mapped, without side effects. The vCPU does not run.</summary>
    byte[] ReadMemory(GuestVirtualAddress address, int length);
}

/// <summary>Where a CPU stands in the protocols that the guest sees.</summary>
/// <param name="AcpiEnabled">What _STA tells the guest: present and enabled (true) or present only (false).</param>
/// <param name="GicAccessible">Whether the GIC CPU interface can be used.</param>
public readonly record struct CpuStatus(bool AcpiEnabled, bool GicAccessible, PsciPowerState Psci);

/// <summary>What the actors need of the machine.</summary>
public interface IVmMachine
{
    int PossibleCpus { get; }

    MachineDescription Description { get; }

    /// <summary>What the translator has done, as text; empty without one. Any thread, while vCPUs run.</summary>
    string DescribeJit();

    /// <summary>
    /// A part of the machine as text for people: any <see cref="ReportSubject"/> but those of a CPU. Any thread, while vCPUs run.
    /// </summary>
    string Describe(ReportSubject subject);

    /// <summary>RAM at physical addresses, up to where it ends. Any thread, while vCPUs run.</summary>
    byte[] ReadMemory(GuestPhysicalAddress address, int length);

    bool IsEnabled(int cpu);

    /// <summary>The CPUs that the machine is made with, before anything is plugged or the administrator changes them.</summary>
    PowerOnCpus PowerOnCpus { get; }

    /// <summary>Where a CPU stands for ACPI, the GIC and PSCI. Any thread, while vCPUs run.</summary>
    CpuStatus Status(int cpu);

    IVcpu Cpu(int cpu);

    /// <summary>Makes (true) or frees (false) the execution state of a CPU that no thread runs.</summary>
    void SetExecutable(int cpu, bool value);

    /// <summary>The GIC's accessible flag of one CPU interface.</summary>
    void SetInterfaceAccessible(int cpu, bool value);

    /// <summary>Lets the guest's time run (true) or stand still.</summary>
    void SetClockRunning(bool value);

    /// <summary>
    /// RAM, code cache and CPUs as at power-on; keeps the enabled set. The GIC and the devices are reset by their actors. No vCPU runs.
    /// </summary>
    /// <exception cref="InvalidDataException">What is to be booted does not fit.</exception>
    void Reset();

    /// <summary>CPU hotplug as ACPI offers it; null on a machine without (<c>acpi=off</c>).</summary>
    ICpuHotplugPort? Hotplug { get; }

    /// <summary>All devices, each with its name in messages.</summary>
    IReadOnlyList<PlacedDevice> Devices { get; }

    /// <summary>The pin of the GPIO port that has the power button of a machine without ACPI.</summary>
    int PowerButtonPin { get; }
}

/// <summary>The CPU hotplug block.</summary>
public interface ICpuHotplugPort
{
    /// <summary>Enables the CPU for the guest, which finds it by itself when it boots.</summary>
    void Enable(int cpu);

    /// <summary>Enables the CPU for the guest and marks the insertion; the GED is then to tell the guest.</summary>
    void Insert(int cpu);

    /// <summary>Disables the CPU for the guest, which does not run.</summary>
    void Disable(int cpu);

    /// <summary>Marks the removal; the GED is then to tell the guest.</summary>
    void RequestRemoval(int cpu);

    /// <summary>System reset: marks and commands are gone, the enabled CPUs stay.</summary>
    void Reset();

    /// <summary>Whether there is a mark that the guest has not taken note of. Any thread.</summary>
    bool HasUnseen { get; }

    /// <summary>Rings when <see cref="TryTake"/> has something.</summary>
    Doorbell Doorbell { get; }

    bool TryTake(out CpuHotplugEvent happened);
}

/// <summary>What the guest did at the hotplug block.</summary>
/// <param name="Ejected">It wrote eject: the CPU is disabled already. Otherwise it evaluated _OST.</param>
public readonly record struct CpuHotplugEvent(int Cpu, bool Ejected, int OstSource, int OstStatus);
