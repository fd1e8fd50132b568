using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Vm;

/// <summary>
/// A vCPU as the actors see it. Only <see cref="RequestExit"/> and <see cref="IsParked"/> may be used outside the vCPU's actor.
/// </summary>
public interface IVcpu
{
    VcpuExit Run(long budget);

    /// <summary>Makes <see cref="Run"/> return soon, or at once when next called, and wakes a parked vCPU. Any thread.</summary>
    void RequestExit();

    /// <summary>Whether there is an event that ends the wait after a WFI or for a missing page.</summary>
    bool HasWakeup { get; }

    /// <summary>
    /// Begins to wait. True: one <see cref="IVcpuWaker.Wake"/> will come. False: an event is there already, and nothing waits.
    /// </summary>
    bool TryPark();

    /// <summary>
    /// Whether the CPU waits in WFI or for a missing page at this moment, between <see cref="TryPark"/> and its wake-up or
    /// <see cref="Unpark"/>. Any thread.
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

    /// <summary>
    /// Reads memory at virtual addresses, up to the first page that is not mapped, without side effects. The vCPU does not run.
    /// </summary>
    byte[] ReadMemory(GuestVirtualAddress address, int length);
}

/// <summary>The state of a CPU in the protocols that the guest sees.</summary>
/// <param name="AcpiEnabled">Whether _STA tells the guest that the CPU is enabled; present it always is.</param>
/// <param name="GicAccessible">Whether the CPU interface of the GIC can be used.</param>
public readonly record struct CpuStatus(bool AcpiEnabled, bool GicAccessible, PsciPowerState Psci);

/// <summary>The machine as the actors see it.</summary>
public interface IVmMachine
{
    int PossibleCpus { get; }

    MachineDescription Description { get; }

    /// <summary>The figures of the translator as text; empty for a machine without one. Any thread, while vCPUs run.</summary>
    string DescribeJit();

    /// <summary>
    /// A part of the machine as text for people, for each <see cref="ReportSubject"/> that is not about one CPU. Any thread, while vCPUs
    /// run.
    /// </summary>
    string Describe(ReportSubject subject);

    /// <summary>Reads RAM at physical addresses, up to its end. Any thread, while vCPUs run.</summary>
    byte[] ReadMemory(GuestPhysicalAddress address, int length);

    bool IsEnabled(int cpu);

    /// <summary>The CPUs that the machine is made with, before anything is plugged or the administrator changes them.</summary>
    PowerOnCpus PowerOnCpus { get; }

    /// <summary>The state of a CPU for ACPI, the GIC and PSCI. Any thread, while vCPUs run.</summary>
    CpuStatus Status(int cpu);

    IVcpu Cpu(int cpu);

    /// <summary>How long the CPUs were enabled and busy.</summary>
    VcpuMeter Meter { get; }

    /// <summary>Makes (true) or ends (false) the execution state of a CPU that no thread runs.</summary>
    void SetExecutable(int cpu, bool value);

    /// <summary>Gives back to the host what a CPU that is not executable has used.</summary>
    void Free(int cpu);

    /// <summary>Sets whether a CPU's interface of the GIC can be used.</summary>
    void SetInterfaceAccessible(int cpu, bool value);

    /// <summary>Lets the guest's time run (true) or stand still.</summary>
    void SetClockRunning(bool value);

    /// <summary>
    /// Brings RAM, code cache and CPUs to their power-on state, and keeps the enabled set. The GIC and the devices are reset by their
    /// actors. No vCPU runs.
    /// </summary>
    /// <exception cref="InvalidDataException">The kernel or another boot file does not fit.</exception>
    void Reset();

    /// <summary>The CPU hotplug of ACPI; null on a machine without it (<c>acpi=off</c>).</summary>
    ICpuHotplugPort? Hotplug { get; }

    /// <summary>All devices, each with its name in messages.</summary>
    IReadOnlyList<PlacedDevice> Devices { get; }

    /// <summary>The network backends, which network devices name.</summary>
    NetdevTable Netdevs { get; }

    /// <summary>
    /// Puts a device into the slot of a port; the guest does not hear of it yet. One caller at a time, as of <see cref="Forget"/>.
    /// </summary>
    /// <exception cref="InvalidDataException">It cannot go there: one line.</exception>
    PlacedDevice Plug(PciDeviceConfig device);

    /// <summary>Forgets a device that the guest has let go and that has no actor.</summary>
    void Forget(PlacedDevice device);

    /// <summary>What a snapshot that this machine can go on from is of.</summary>
    SavedMachine Identity { get; }

    /// <summary>What is saved of CPUs and what belongs to them, but of no device; in the order in which it is loaded.</summary>
    IReadOnlyList<IStateUnit> StateUnits { get; }

    GuestMemory Ram { get; }

    /// <summary>The guest's time, in ticks of its system counter.</summary>
    ulong Clock { get; }

    /// <summary>The pages that are written, for whoever copies RAM while the vCPUs run; one user at a time.</summary>
    DirtyLog DirtyLog { get; }

    /// <summary>The pages of RAM that have not arrived, while the guest runs after a postcopy migration.</summary>
    MissingPages MissingPages { get; }

    /// <summary>
    /// Loads RAM and <see cref="StateUnits"/>. No vCPU runs, and no device's actor does anything. The devices are to be loaded after. What
    /// it throws leaves the machine loaded in part.
    /// </summary>
    /// <param name="loadRam">Makes RAM what it is to be.</param>
    /// <exception cref="StateException">A unit refuses what was saved.</exception>
    void Load(IReadOnlyCollection<SavedUnit> units, Action loadRam);

    /// <summary>Writes a step of a save, a load or a migration to the trace. Any thread.</summary>
    void TraceStep(string step);

    /// <summary>How long guest time has stood still; zero while it runs. Any thread.</summary>
    TimeSpan StoodStill { get; }

    /// <summary>Lets guest time, which stands still, go on from a later moment.</summary>
    void AdvanceClock(TimeSpan by);

    /// <summary>The pin of the GPIO port that has the power button of a machine without ACPI.</summary>
    int PowerButtonPin { get; }
}

/// <summary>The CPU hotplug block as the actors see it.</summary>
public interface ICpuHotplugPort
{
    /// <summary>Enables the CPU for a guest that boots, and that finds it by itself.</summary>
    void Enable(int cpu);

    /// <summary>Enables the CPU for the guest and marks the insertion. The caller then has the GED tell the guest.</summary>
    void Insert(int cpu);

    /// <summary>Disables the CPU for the guest, which does not run.</summary>
    void Disable(int cpu);

    /// <summary>Marks the removal. The caller then has the GED tell the guest.</summary>
    void RequestRemoval(int cpu);

    /// <summary>Resets the block: marks and commands go, the enabled CPUs stay.</summary>
    void Reset();

    /// <summary>Whether there is a mark that the guest has not read yet. Any thread.</summary>
    bool HasUnseen { get; }

    /// <summary>Rings when <see cref="TryTake"/> has something.</summary>
    Doorbell Doorbell { get; }

    bool TryTake(out CpuHotplugEvent happened);
}

/// <summary>An action of the guest at the hotplug block.</summary>
/// <param name="Ejected">True: the guest ejected the CPU, which is disabled already. False: it evaluated _OST.</param>
public readonly record struct CpuHotplugEvent(int Cpu, bool Ejected, int OstSource, int OstStatus);
