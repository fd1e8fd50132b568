using System.Globalization;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.MemoryTagging;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.PerformanceMonitors;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// QEMU's <c>virt</c> machine: a board with RAM and CPUs. It makes and wires them, but runs nothing. The code that runs the vCPUs calls
/// <see cref="Run"/> for each on a thread of its own, and learns of CPU_ON through <see cref="IPsciEvents"/>.
/// </summary>
public sealed class VirtMachine : IDisposable
{
    private readonly CodeCache _code;
    private readonly TranslationCache? _translations;
    private readonly TimerQueue _timers;

    // The clock that counts instructions; null if guest time follows host time.
    private readonly InstructionClock? _instructionClock;

    /// <exception cref="InsufficientMemoryException">The host refuses to reserve the RAM, or the room for translated code.</exception>
    /// <exception cref="IOException">The perf map cannot be written.</exception>
    /// <exception cref="NotSupportedException">The configuration asks for translated code, which this host cannot run.</exception>
    public VirtMachine(MachineConfig config, IPsciEvents events)
    {
        Board = new VirtBoard(config);
        Ram = new GuestMemory(Board.Map.Ram, config.MemoryBytes);
        Ram.Tags = config.Cpu.Has(Feature.Mte3) ? new TagMemory(Ram) : null;
        Bus.AddMemory(Ram);
        _code = new CodeCache(config.Cpu);
        _timers = new TimerQueue(Clock);
        if (config.Accelerator != Accelerator.Interpreter)
        {
            _translations = TranslationCache.TryCreate(
                    _code, config.TranslationBytes, config.DualMapping, config.Accelerator == Accelerator.Lockstep)
                ?? throw (HostBackends.IsSupported
                    ? new InsufficientMemoryException(
                        $"the host refuses {config.TranslationBytes >> 20} MiB for translated code: use less tb-size, or --accel interp")
                    : new NotSupportedException("this host cannot run translated code: use --accel interp"));
            _translations.PerfMap = config.PerfMap ? PerfMap.Open() : null;
            if (config.Trace is { } trace && trace.Traces(BlockTrace.Categories))
            {
                _translations.TraceTo(trace);
            }
        }

        Cpus =
        [
            .. Enumerable.Range(0, config.PossibleCpus)
                .Select(i => new VcpuCore(new CpuIndex(i), config.Cpu, Bus, _code, _translations)),
        ];
        Psci = new PsciController(config.PossibleCpus, events);
        var broadcast = new TlbBroadcast(Cpus);
        DirtyLog = new DirtyLog(Ram, broadcast.ForgetAll);
        MissingPages = new MissingPages(Ram, broadcast.ForgetAll, WakeForPage);
        CpuInterrupts interrupts = Board.Map.CpuInterrupts;
        foreach (VcpuCore cpu in Cpus)
        {
            cpu.Gic = Gic.CpuInterfaces[cpu.Index.Value];
            cpu.Gic.Connect(cpu.Interrupts);
            cpu.Psci = Psci;
            cpu.Broadcast = broadcast;
            cpu.Trace = config.Trace;
            cpu.Timer = new GenericTimer(
                Clock, _timers, Gic.PpiLine(cpu.Index, interrupts.PhysicalTimer), Gic.PpiLine(cpu.Index, interrupts.VirtualTimer));
            cpu.Pmu = config.Cpu.Has(Feature.Pmuv3) ? new Pmu(cpu, Clock, Gic.PpiLine(cpu.Index, interrupts.Pmu)) : null;
        }

        if (config.InstructionShift is int shift)
        {
            _instructionClock = new InstructionClock(Cpus[0], _timers, shift);
            Clock.CountInstructions(_instructionClock);
        }

        CpuUnits =
        [
            new PowerOnUnit(config.PossibleCpus, () => PowerOnSet.Of(Config), Adopt), Psci, .. Cpus, Clock,
            .. Cpus.Select(cpu => cpu.Timer!.StateUnitOf(cpu.Index)),
            .. Cpus.Where(cpu => cpu.Pmu != null).Select(cpu => cpu.Pmu!.StateUnitOf(cpu.Index)),
            .. Ram.Tags is { } tags ? Cpus.Select(cpu => (IStateUnit)new TaggingUnit(cpu)).Prepend(tags) : [],
        ];
        Board.CpuHotplug.Ejecting = cpu => Psci.SetEnabled(cpu, false);
        Board.FwCfg.Offer(FirmwareBoot.Items(Board));
        if (config.Firmware is { } firmware)
        {
            Fill(Board.FlashBanks[0], firmware.Code, broadcast);
            Fill(Board.FlashBanks[1], firmware.Variables, broadcast);
        }

        for (int i = 0; i < config.EnabledCpus; i++)
        {
            SetEnabled(new CpuIndex(i), true);
        }
    }

    public VirtBoard Board { get; }

    public MachineConfig Config => Board.Config;

    public PhysicalAddressSpace Bus => Board.Bus;

    public VirtualClock Clock => Board.Clock;

    public Gic Gic => Board.Gic;

    public GuestMemory Ram { get; }

    /// <summary>Tells which pages of RAM are written, for code that copies RAM while the vCPUs run.</summary>
    public DirtyLog DirtyLog { get; }

    /// <summary>The pages of RAM that have not arrived, while the guest runs after a postcopy migration.</summary>
    public MissingPages MissingPages { get; }

    /// <summary>All possible CPUs.</summary>
    public IReadOnlyList<VcpuCore> Cpus { get; }

    public PsciController Psci { get; }

    /// <summary>
    /// Everything that is saved of the machine except RAM, in the order of loading: first which CPUs there are at power-on, then CPUs, then
    /// the clock and what depends on it, then whatever drives interrupts.
    /// </summary>
    public IReadOnlyList<IStateUnit> StateUnits => [.. CpuUnits, .. Board.Devices.SelectMany(d => d.Device.StateUnits)];

    /// <summary>Those of them that are no device's.</summary>
    public IReadOnlyList<IStateUnit> CpuUnits { get; }

    /// <summary>Executes a vCPU, as <see cref="VcpuCore.Run"/> does.</summary>
    public VcpuExit Run(VcpuCore cpu, long budget) => _instructionClock == null ? cpu.Run(budget) : _instructionClock.Run(budget);

    /// <summary>Makes a CPU part of the machine, powered off, or removes it. No thread runs the CPU.</summary>
    public void SetEnabled(CpuIndex cpu, bool enabled)
    {
        if (enabled)
        {
            Cpus[cpu.Value].Enable();
        }

        Gic.CpuInterfaces[cpu.Value].SetAccessible(enabled);
        Psci.SetEnabled(cpu, enabled);
        Board.CpuHotplug.SetEnabled(cpu, enabled);
        if (!enabled)
        {
            Psci.SetPower(cpu, PowerState.Off);
            Cpus[cpu.Value].Disable();
            Cpus[cpu.Value].FreeTranslations();
        }
    }

    /// <summary>
    /// Power-on or reset of everything but the devices: loads boot files into RAM, puts the boot CPU at their entry point, and powers all
    /// other CPUs off. The owners of the devices reset them before. No vCPU runs.
    /// </summary>
    /// <exception cref="InvalidDataException">The kernel or the RAM size is wrong. The message says how.</exception>
    public void Boot()
    {
        BootPlan plan = BootPlan.Make(Board);
        Ram.Clear();
        _code.Clear();
        foreach (BootBlob blob in plan.Blobs)
        {
            blob.Contents.Read(0, Ram.Span(new GuestPhysicalAddress(blob.Address), checked((int)blob.Contents.Length)));
            Ram.MarkWritten(blob.Address, (ulong)blob.Contents.Length);
        }

        foreach (VcpuCore cpu in Cpus)
        {
            Psci.SetPower(cpu.Index, PowerState.Off);
        }

        Cpus[0].Reset(plan.EntryPoint, plan.DeviceTreeAddress);
        Psci.SetPower(Cpus[0].Index, PowerState.On);
    }

    /// <summary>
    /// Forgets what is known of the contents of RAM and of the devices' outputs, before RAM and then all units are loaded. No vCPU runs.
    /// </summary>
    public void PrepareLoad()
    {
        Gic.LowerLines();
        _code.Clear();
    }

    /// <summary>
    /// Gives up all translated code. Most of it comes from the guest's boot and never runs again. Any thread, before <see cref="Dispose"/>.
    /// </summary>
    public void TrimTranslations() => _translations?.Trim();

    /// <summary>
    /// The figures of the translator as text; empty for a machine that interprets. Any thread, while the vCPUs run.
    /// </summary>
    public string DescribeJit() =>
        _translations == null ? "" : JitReport.Describe(_translations.Statistics, Cpus, _code) + DescribeLockstep();

    private string DescribeLockstep() => Config.Accelerator != Accelerator.Lockstep ? "" : string.Create(
        CultureInfo.InvariantCulture,
        $"\n{"Lockstep",-32} {Cpus.Sum(c => c.LockstepInstructions):N0} instructions compared, in {Cpus.Sum(c => c.LockstepRuns):N0} runs");

    /// <summary>The files in RAM at power-on, in the layout of QEMU's <c>info roms</c>. Any thread.</summary>
    public string DescribeRoms() => string.Join('\n', BootPlan.Make(Board).Blobs
        .OrderBy(b => b.Address)
        .Select(b => $"addr={b.Address:x16} size=0x{b.Contents.Length:x6} mem=ram name=\"{b.Name}\""));

    // The machine describes itself to the guest's next boot as that one did.
    private void Adopt(PowerOnSet cpus)
    {
        if (cpus != PowerOnSet.Of(Config))
        {
            Board.Adopt(cpus);
            Board.FwCfg.Offer(FirmwareBoot.Items(Board));
        }
    }

    public void Dispose()
    {
        _timers.Dispose();
        foreach (VcpuCore cpu in Cpus)
        {
            cpu.Dispose();
        }

        _translations?.Dispose();
        Board.Dispose();
    }

    private void WakeForPage()
    {
        foreach (VcpuCore cpu in Cpus)
        {
            cpu.Interrupts.PageArrived();
        }

        Board.Its?.RetryMessages();
    }

    // Fills a bank with its contents at power-on. When a command hides the array, the vCPUs forget their translations of it.
    private static void Fill(CfiFlash bank, FlashImage image, TlbBroadcast broadcast)
    {
        GuestMemory memory = bank.Memory;
        image.Contents.Span.CopyTo(memory.Span(memory.Start, image.Contents.Length));
        memory.Withdrawn += () => broadcast.RequestAll(TlbRequest.All);
    }
}
