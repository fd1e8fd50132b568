using Akka.Actor;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;
using Vmm.Emulation.Tracing;
using CpuHotplugEvent = Vmm.Actors.Vm.CpuHotplugEvent;

namespace Vmm.Actors.Hosting;

/// <summary>The real machine behind the interfaces of the actors. PSCI CPU_ON becomes a message to the supervisor.</summary>
public sealed class MachineAdapter : IVmMachine, IPsciEvents, IDisposable
{
    private readonly VirtMachine _machine;
    private readonly Cpu[] _cpus;
    private IActorRef _supervisor = ActorRefs.Nobody;

    /// <param name="times">The file that is to have the times of the vCPUs (<see cref="VcpuMeter"/>); null for none.</param>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public MachineAdapter(MachineConfig config, string? times = null)
    {
        _machine = new VirtMachine(config, this);
        _cpus = [.. _machine.Cpus.Select(c => new Cpu(c, _machine, config.Trace))];
        Meter = new VcpuMeter(_cpus.Length, times);
        Hotplug = config.Acpi ? HotplugTrace.Of(new HotplugPort(_machine), config.Trace) : null;
    }

    public int PossibleCpus => _cpus.Length;

    public VcpuMeter Meter { get; }

    public MachineDescription Description
    {
        get
        {
            MachineConfig config = _machine.Config;
            CpuTopology t = config.Topology;
            return new MachineDescription(
                config.Cpu.Name, config.EnabledCpus, t.Sockets, t.Clusters, t.Cores, t.Threads, config.MemoryBytes, config.Acpi,
                config.Name, config.Uuid.ToString(),
                ProtocolVersion.Current, config.DisabledCpus);
        }
    }

    public string DescribeJit() => _machine.DescribeJit();

    public string Describe(ReportSubject subject) => subject switch
    {
        ReportSubject.MemoryTree => _machine.Bus.DescribeTree(),
        ReportSubject.FlatView => _machine.Bus.DescribeFlatView(),
        ReportSubject.Interrupts => _machine.Gic.DescribeInterrupts(),
        ReportSubject.CpuInterfaces => _machine.Gic.DescribeCpuInterfaces(),
        ReportSubject.Roms => _machine.DescribeRoms(),
        ReportSubject.Virtio => DescribeVirtio(),
        ReportSubject.DeviceTree => BoardTree.Describe(_machine.Board.Devices),
        ReportSubject.GenerationId => _machine.Board.GenerationId?.Id.ToString() ?? "",
        _ => "",
    };

    private string DescribeVirtio() => string.Join('\n', _machine.Board.Devices
        .Where(device => device.Device is IVirtioTransport { Device: not null })
        .Select(device => $"{device.QomPath}\n    {((IVirtioTransport)device.Device).Device!.Describe()}"));

    public byte[] ReadMemory(GuestPhysicalAddress address, int length)
    {
        byte[] bytes = new byte[length];
        return bytes[.._machine.Bus.Peek(address, bytes)];
    }

    public ICpuHotplugPort? Hotplug { get; }

    public IReadOnlyList<PlacedDevice> Devices => _machine.Board.Devices;

    public NetdevTable Netdevs => _machine.Config.Netdevs;

    public PlacedDevice Plug(PciDeviceConfig device) => _machine.Board.Plug(device);

    public void Forget(PlacedDevice device) => _machine.Board.Forget(device);

    public SavedMachine Identity => SavedMachine.Of(_machine.Config, _machine.Board.Map.Ram);

    public IReadOnlyList<IStateUnit> StateUnits => _machine.CpuUnits;

    public GuestMemory Ram => _machine.Ram;

    public ulong Clock => _machine.Clock.Count;

    public DirtyLog DirtyLog => _machine.DirtyLog;

    public MissingPages MissingPages => _machine.MissingPages;

    public void Load(IReadOnlyCollection<SavedUnit> units, Action loadRam)
    {
        _machine.PrepareLoad();
        loadRam();
        Archive.Load(units, _machine.CpuUnits);
    }

    public void TraceStep(string step)
    {
        if (_machine.Config.Trace is { } trace && trace.Traces(TraceCategories.Migration))
        {
            trace.Write(TraceCategories.Migration, step);
        }
    }

    public TimeSpan StoodStill => _machine.Clock.StoodStill;

    public void AdvanceClock(TimeSpan by) => _machine.Clock.Advance(by);

    public int PowerButtonPin => _machine.Board.Map.PowerButtonPin;

    public VirtMachine Machine => _machine;

    public PowerOnCpus PowerOnCpus => PowerOnCpus.Of(_machine.Config);

    public bool IsEnabled(int cpu) => _machine.Psci.IsEnabled(new CpuIndex(cpu));

    public CpuStatus Status(int cpu)
    {
        var index = new CpuIndex(cpu);
        PsciPowerState power = _machine.Psci.Power(index) switch
        {
            PowerState.On => PsciPowerState.On,
            PowerState.Off => PsciPowerState.Off,
            _ => PsciPowerState.OnPending,
        };
        return new CpuStatus(_machine.Board.CpuHotplug.IsEnabled(index), _machine.Gic.CpuInterfaces[cpu].Accessible, power);
    }

    IVcpu IVmMachine.Cpu(int cpu) => _cpus[cpu];

    public void SetExecutable(int cpu, bool value)
    {
        HotplugTrace.Step(_machine.Config.Trace, cpu, value ? "vCPU is made" : "vCPU is freed");
        if (value)
        {
            _machine.Cpus[cpu].Enable();
        }
        else
        {
            _machine.Psci.SetPower(new CpuIndex(cpu), PowerState.Off);
            _machine.Cpus[cpu].Disable();
        }
    }

    public void Free(int cpu) => _machine.Cpus[cpu].FreeTranslations();

    public void SetInterfaceAccessible(int cpu, bool value)
    {
        HotplugTrace.Step(_machine.Config.Trace, cpu, value ? "GIC CPU interface becomes accessible"
            : "GIC CPU interface becomes inaccessible");
        _machine.Gic.CpuInterfaces[cpu].SetAccessible(value);
    }

    public void SetClockRunning(bool value)
    {
        if (value)
        {
            _machine.Clock.Start();
        }
        else
        {
            _machine.Clock.Stop();
        }
    }

    public void Reset() => _machine.Boot();

    /// <summary>Sets the supervisor, which is told of each CPU_ON. Called once, before the VM starts.</summary>
    public void Connect(IActorRef supervisor) => Volatile.Write(ref _supervisor, supervisor);

    void IPsciEvents.CpuOn(CpuIndex cpu, GuestPhysicalAddress entryPoint, ulong context) =>
        Volatile.Read(ref _supervisor).Tell(new PowerOnVcpu(cpu.Value, entryPoint.Value, context));

    public void Dispose() => _machine.Dispose();

    private sealed class Cpu(VcpuCore core, VirtMachine machine, TraceLog? trace) : IVcpu
    {
        // True from power-on to the first instruction. Only the vCPU actor uses it.
        private bool _fresh;

        public bool HasWakeup => core.Interrupts.HasWakeup;

        public VcpuExit Run(long budget)
        {
            if (_fresh)
            {
                _fresh = false;
                trace?.Write(TraceCategories.Psci, $"cpu{core.Index.Value} executes its first instruction");
            }

            return machine.Run(core, budget);
        }

        public void RequestExit() => core.RequestExit();

        public bool IsParked => core.Interrupts.IsParked;

        public bool TryPark() => core.Interrupts.TryPark();

        public void Unpark() => core.Interrupts.Unpark();

        public void SetWaker(IVcpuWaker? waker) => core.Interrupts.SetWaker(waker);

        public void PowerOn(GuestPhysicalAddress entryPoint, ulong context)
        {
            core.Reset(entryPoint.Value, context);
            machine.Psci.SetPower(core.Index, PowerState.On);
            _fresh = trace != null && trace.Traces(TraceCategories.Psci);
        }

        public string DumpRegisters() => core.DumpRegisters();

        public string DescribeTlb() => core.DescribeTlb();

        public byte[] ReadMemory(GuestVirtualAddress address, int length)
        {
            byte[] bytes = new byte[length];
            return bytes[..core.Peek(address, bytes)];
        }
    }

    private sealed class HotplugPort(VirtMachine machine) : ICpuHotplugPort
    {
        public Doorbell Doorbell => machine.Board.CpuHotplug.Doorbell;

        public bool HasUnseen => machine.Board.CpuHotplug.HasPending;

        public void Enable(int cpu)
        {
            var index = new CpuIndex(cpu);
            machine.Psci.SetEnabled(index, true);
            machine.Board.CpuHotplug.SetEnabled(index, true);
        }

        public void Disable(int cpu)
        {
            var index = new CpuIndex(cpu);
            machine.Psci.SetEnabled(index, false);
            machine.Board.CpuHotplug.SetEnabled(index, false);
        }

        public void Insert(int cpu)
        {
            Enable(cpu);
            machine.Board.CpuHotplug.PendInsert(new CpuIndex(cpu));
        }

        public void RequestRemoval(int cpu) => machine.Board.CpuHotplug.PendRemove(new CpuIndex(cpu));

        public void Reset() => machine.Board.CpuHotplug.Reset();

        public bool TryTake(out CpuHotplugEvent happened)
        {
            bool taken = machine.Board.CpuHotplug.TryTakeEvent(out Emulation.Devices.CpuHotplug.CpuHotplugEvent e);
            happened = new CpuHotplugEvent(e.Cpu.Value, e.Kind == CpuHotplugEventKind.Ejected, (int)e.Event, (int)e.Status);
            return taken;
        }
    }
}
