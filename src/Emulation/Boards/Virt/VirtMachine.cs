using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.FwCfg;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// QEMU's <c>virt</c> machine: the only place that knows all parts. It makes and wires them; it runs nothing. Whoever runs the vCPUs
/// calls <see cref="VcpuCore.Run"/> on a thread for each, and hears of CPU_ON through <see cref="IPsciEvents"/>.
/// </summary>
public sealed class VirtMachine : IDisposable
{
    /// <summary>The pin of <see cref="Gpio"/> that has the power button.</summary>
    public const int PowerButtonPin = 3;

    private readonly CodeCache _code;
    private readonly TranslationCache? _translations;
    private readonly TimerQueue _timers;

    /// <exception cref="InsufficientMemoryException">The host refuses to reserve the RAM, or the room for translated code.</exception>
    /// <exception cref="IOException">The perf map cannot be written.</exception>
    /// <exception cref="NotSupportedException">The host cannot run translated code, and that is asked for.</exception>
    public VirtMachine(MachineConfig config, IPsciEvents events)
    {
        Config = config;
        Ram = new GuestMemory(VirtMemoryMap.Ram, config.MemoryBytes);
        Bus.AddMemory(Ram);
        _code = new CodeCache(config.Cpu.Features);
        _timers = new TimerQueue(Clock);
        if (config.Accelerator != Accelerator.Interpreter)
        {
            _translations = TranslationCache.TryCreate(_code, config.TranslationBytes, config.DualMapping, config.Accelerator == Accelerator.Lockstep)
                ?? throw (TranslationCache.IsSupported
                    ? new InsufficientMemoryException($"the host refuses {config.TranslationBytes >> 20} MiB for translated code: use less tb-size, or --accel interp")
                    : new NotSupportedException("this host cannot run translated code: use --accel interp"));
            _translations.PerfMap = config.PerfMap ? PerfMap.Open() : null;
            _translations.Trace = config.Trace is { } trace && trace.Traces(Translator.Traced) ? trace : null;
        }

        Cpus = [.. Enumerable.Range(0, config.PossibleCpus).Select(i => new VcpuCore(new CpuIndex(i), config.Cpu, Bus, _code, _translations))];
        Gic = new Gic([.. Cpus.Select(c => c.Interrupts)]) { Trace = config.Trace };
        Psci = new PsciController(config.PossibleCpus, events);
        var broadcast = new TlbBroadcast(Cpus);
        foreach (VcpuCore cpu in Cpus)
        {
            cpu.Gic = Gic.CpuInterfaces[cpu.Index.Value];
            cpu.Psci = Psci;
            cpu.Broadcast = broadcast;
            cpu.Trace = config.Trace;
            cpu.Timer = new GenericTimer(
                Clock, _timers, Gic.PpiLine(cpu.Index, VirtInterruptMap.PhysicalTimer), Gic.PpiLine(cpu.Index, VirtInterruptMap.VirtualTimer));
        }

        Uart = new Pl011(Gic.SpiLine(VirtInterruptMap.Uart));
        Rtc = new Pl031(Gic.SpiLine(VirtInterruptMap.Rtc), RtcTime.Create(config.Rtc, TimeProvider.System, Clock));
        Ged = new Ged(Gic.SpiLine(VirtInterruptMap.Ged));
        Gpio = new Pl061(Gic.SpiLine(VirtInterruptMap.Gpio));
        FwCfg = new FwCfg(FirmwareBoot.Items(config), Bus);
        CpuHotplug = new CpuHotplugBlock(config.PossibleCpus)
        {
            FixedCpus = config.ColdPluggedCpusOnlineCapable ? 1 : config.EnabledCpus,
            Ejecting = cpu => Psci.SetEnabled(cpu, false),
        };
        Bus.Map(Gic.Distributor, VirtMemoryMap.GicDistributor, VirtMemoryMap.GicDistributorSize);
        ulong low = (ulong)Math.Min(config.PossibleCpus, VirtMemoryMap.GicRedistributorCount);
        Bus.Map(Gic.RedistributorRegions[0], VirtMemoryMap.GicRedistributor, low * VirtMemoryMap.GicRedistributorStride);
        if (Gic.RedistributorRegions.Count > 1)
        {
            ulong high = (ulong)config.PossibleCpus - low;
            Bus.Map(Gic.RedistributorRegions[1], VirtMemoryMap.GicRedistributorHigh, high * VirtMemoryMap.GicRedistributorStride);
        }

        Bus.Map(Uart, VirtMemoryMap.Uart, VirtMemoryMap.UartSize);
        Bus.Map(Rtc, VirtMemoryMap.Rtc, VirtMemoryMap.RtcSize);
        Bus.Map(FwCfg, VirtMemoryMap.FwCfg, VirtMemoryMap.FwCfgSize);
        Bus.Map(Gpio, VirtMemoryMap.Gpio, VirtMemoryMap.GpioSize);
        Bus.Map(Ged, VirtMemoryMap.Ged, VirtMemoryMap.GedSize);
        Bus.Map(CpuHotplug, VirtMemoryMap.CpuHotplug, VirtMemoryMap.CpuHotplugSize);

        if (config.Firmware is { } firmware)
        {
            FlashBanks =
            [
                AddFlash("flash0", VirtMemoryMap.Flash0, firmware.Code, broadcast),
                AddFlash("flash1", VirtMemoryMap.Flash1, firmware.Variables, broadcast),
            ];
        }

        for (int i = 0; i < config.EnabledCpus; i++)
        {
            SetEnabled(new CpuIndex(i), true);
        }
    }

    public MachineConfig Config { get; }

    public PhysicalAddressSpace Bus { get; } = new();

    public GuestMemory Ram { get; }

    /// <summary>All possible CPUs.</summary>
    public IReadOnlyList<VcpuCore> Cpus { get; }

    public Gic Gic { get; }

    public PsciController Psci { get; }

    public VirtualClock Clock { get; } = new();

    public Pl011 Uart { get; }

    public Pl031 Rtc { get; }

    public FwCfg FwCfg { get; }

    public Pl061 Gpio { get; }

    public Ged Ged { get; }

    /// <summary>Two with firmware, else none.</summary>
    public IReadOnlyList<CfiFlash> FlashBanks { get; } = [];

    public CpuHotplugBlock CpuHotplug { get; }

    /// <summary>Makes a CPU part of the machine, powered off, or takes it out. Nothing runs it.</summary>
    public void SetEnabled(CpuIndex cpu, bool enabled)
    {
        if (enabled)
        {
            Cpus[cpu.Value].Enable();
        }

        Gic.CpuInterfaces[cpu.Value].SetAccessible(enabled);
        Psci.SetEnabled(cpu, enabled);
        CpuHotplug.SetEnabled(cpu, enabled);
        if (!enabled)
        {
            Psci.SetPower(cpu, PowerState.Off);
            Cpus[cpu.Value].Disable();
        }
    }

    /// <summary>Power-on or reset: devices reset, boot files in RAM, the boot CPU at their entry, all others off. No vCPU runs.</summary>
    /// <exception cref="InvalidDataException">The kernel or the RAM size is wrong; the message says how.</exception>
    public void Reset()
    {
        Gic.Reset();
        Uart.Reset();
        Rtc.Reset();
        FwCfg.Reset();
        Gpio.Reset();
        Ged.Reset();
        foreach (CfiFlash bank in FlashBanks)
        {
            bank.Reset();
        }

        CpuHotplug.Reset();
        ResetBoard();
    }

    /// <summary>The part of <see cref="Reset"/> that is neither the GIC nor a device, for whoever resets those apart.</summary>
    /// <exception cref="InvalidDataException">The kernel or the RAM size is wrong; the message says how.</exception>
    public void ResetBoard()
    {
        BootPlan plan = BootPlan.Make(Config);
        Ram.Clear();
        _code.Clear();
        foreach (BootBlob blob in plan.Blobs)
        {
            blob.Contents.Read(0, Ram.Span(new GuestPhysicalAddress(blob.Address), checked((int)blob.Contents.Length)));
        }

        foreach (VcpuCore cpu in Cpus)
        {
            Psci.SetPower(cpu.Index, PowerState.Off);
        }

        Cpus[0].Reset(plan.EntryPoint, plan.DeviceTreeAddress);
        Psci.SetPower(Cpus[0].Index, PowerState.On);
    }

    /// <summary>How often all translated code was given up because its room was full.</summary>
    public long TranslationsGivenUp => _translations?.GivenUp ?? 0;

    /// <summary>What the translator has done and what it left to the interpreter, as text; empty for a machine that interprets. Any thread, while the vCPUs run.</summary>
    /// <summary>Gives up all translated code. Most of it is of the guest's boot, and is never run again. Any thread, before <see cref="Dispose"/>.</summary>
    public void TrimTranslations() => _translations?.Trim();

    public string DescribeJit() => _translations == null ? "" : JitReport.Describe(_translations.Statistics, Cpus, _code);

    /// <summary>What is in RAM at power-on, as QEMU's <c>info roms</c> lists it. Any thread.</summary>
    public string DescribeRoms() => string.Join('\n', BootPlan.Make(Config).Blobs
        .OrderBy(b => b.Address)
        .Select(b => $"addr={b.Address:x16} size=0x{b.Contents.Length:x6} mem=ram name=\"{b.Name}\""));

    public void Dispose()
    {
        _timers.Dispose();
        foreach (VcpuCore cpu in Cpus)
        {
            cpu.Dispose();
        }

        _translations?.Dispose();
        foreach (GuestMemory memory in Bus.Memories)
        {
            memory.Dispose();
        }
    }

    // The array is memory, and behind it, for stores and commands, the chips.
    private CfiFlash AddFlash(string name, GuestPhysicalAddress address, FlashImage image, TlbBroadcast broadcast)
    {
        var memory = new GuestMemory(address, VirtMemoryMap.FlashSize, readOnly: true);
        image.Contents.Span.CopyTo(memory.Span(address, image.Contents.Length));
        memory.Withdrawn += () => broadcast.RequestAll(TlbRequest.All);
        Bus.AddMemory(memory);
        var bank = new CfiFlash(name, memory, image.ReadOnly, image.File != null && !image.ReadOnly);
        Bus.Map(bank, address, VirtMemoryMap.FlashSize);
        return bank;
    }
}
