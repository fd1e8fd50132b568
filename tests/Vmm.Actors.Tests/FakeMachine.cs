using System.Collections.Concurrent;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Net;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Actors.Tests;

/// <summary>A machine without a guest: the test plays the guest at the hotplug block and scripts what each vCPU's loop returns.</summary>
internal sealed class FakeMachine : IVmMachine
{
    private static readonly Placement s_nowhere = new([], []);

    private readonly bool[] _enabled;
    private readonly bool[] _accessible;
    private readonly FakeVcpu[] _cpus;

    public FakeMachine(int enabled, int possible, int disabled = 0, bool canLeave = false)
    {
        PowerOnCpus = Cpus(enabled, disabled, possible, canLeave);
        _enabled = [.. Enumerable.Range(0, possible).Select(i => i < enabled)];
        _accessible = [.. _enabled];
        _cpus = [.. Enumerable.Range(0, possible).Select(_ => new FakeVcpu())];
        Meter = new VcpuMeter(possible);
        Port = new FakePort(this);
        DirtyLog = new DirtyLog(Ram, () => { });
        MissingPages = new MissingPages(Ram, () => { }, () => { });
        Bus.AddMemory(Ram);
    }

    public static PowerOnCpus Cpus(int enabled, int disabled, int possible, bool canLeave) =>
        new(enabled, disabled, new CpuTopology(1, 1, possible, 1), canLeave, "max");

    public ConcurrentQueue<string> Log { get; } = [];

    public FakePort Port { get; }

    /// <summary>What throws when it is next used: gic, executable, clock or insert; null for nothing.</summary>
    public string? Broken;

    public int Resets;

    public int PossibleCpus => _enabled.Length;

    public VcpuMeter Meter { get; }

    public PowerOnCpus PowerOnCpus { get; set; }

    public MachineDescription Description => new("max", 2, 1, 1, PossibleCpus, 1, 512 << 20, true, "", "");

    public string DescribeJit() => "Blocks 1";

    public string Describe(ReportSubject subject) => $"of {subject}";

    public byte[] ReadMemory(GuestPhysicalAddress address, int length) => new byte[length];

    public ICpuHotplugPort? Hotplug => Port;

    public Gic Gic { get; } = new();

    public Pl011 Uart { get; } = new(UnconnectedLine.New());

    public Pl031 Rtc { get; } = new(UnconnectedLine.New(), TimeProvider.System);

    public Ged Ged { get; } = new(UnconnectedLine.New()) { CpuScanMethod = "SCAN" };

    public NetdevTable Netdevs { get; } = new();

    public IReadOnlyList<PlacedDevice> Devices => HasWholeBoard ? Board!.Devices :
    [
        new("gic", new GicV3Device(Gic), s_nowhere), new("uart", Uart, s_nowhere), new("rtc", Rtc, s_nowhere), new("ged", Ged, s_nowhere),
        .. Board?.Devices.Where(d => d.Device is PciFunction) ?? [], .. Disks,
    ];

    public IReadOnlyList<PlacedDevice> Disks { get; set; } = [];

    /// <summary>The board whose PCI functions the machine has; null for none.</summary>
    public VirtBoard? Board { get; init; }

    /// <summary>Whether it has all devices of its board, and none of its own.</summary>
    public bool HasWholeBoard { get; init; }

    public PlacedDevice Plug(PciDeviceConfig device) => Board!.Plug(device);

    public void Forget(PlacedDevice device) => Board!.Forget(device);

    public int PowerButtonPin => 3;

    public FakeVcpu Vcpu(int cpu) => _cpus[cpu];

    public CpuStatus Status(int cpu) => new(IsEnabled(cpu), IsAccessible(cpu), IsEnabled(cpu) ? PsciPowerState.On : PsciPowerState.Off);

    public bool IsEnabled(int cpu) => Volatile.Read(ref _enabled[cpu]);

    public IVcpu Cpu(int cpu) => _cpus[cpu];

    public void SetExecutable(int cpu, bool value)
    {
        Break("executable");
        Log.Enqueue($"executable {cpu} {value}");
    }

    // It comes at no certain time beside the outcome of an unplug, so the log has it not.
    public void Free(int cpu)
    {
    }

    public void SetInterfaceAccessible(int cpu, bool value)
    {
        Break("gic");
        _accessible[cpu] = value;
        Log.Enqueue($"gic {cpu} {value}");
    }

    public bool IsAccessible(int cpu) => Volatile.Read(ref _accessible[cpu]);

    public bool ClockRuns { get; private set; }

    public void SetClockRunning(bool value)
    {
        Break("clock");
        ClockRuns = value;
    }

    /// <summary>Called by whoever wants to know what a snapshot is of: the tasks of saves and loads.</summary>
    public Action OnIdentity { get; set; } = () => { };

    public SavedMachine Identity
    {
        get
        {
            OnIdentity();
            return new("virt", Ram.Size, Ram.Start.Value, true, PowerOnCpus.CanLeave, null, null, "max", 0xF0510, 48, [],
                PowerOnCpus.Enabled, PowerOnCpus.Disabled, 1, 1, PossibleCpus, 1);
        }
    }

    public IReadOnlyList<IStateUnit> StateUnits =>
    [
        new PowerOnUnit(PossibleCpus, () => PowerOnCpus.Set, set => PowerOnCpus = PowerOnCpus.With(set)), new EnabledUnit(this),
    ];

    public GuestMemory Ram { get; } = new(new GuestPhysicalAddress(0x4000_0000), 1 << 20);

    /// <summary>How a device writes RAM.</summary>
    public PhysicalAddressSpace Bus { get; } = new();

    public ulong Clock => 62_500_000;

    public DirtyLog DirtyLog { get; }

    public MissingPages MissingPages { get; }

    /// <summary>Reads RAM at the start of a page, as a guest does that waits where it is missing.</summary>
    public bool TryRead(int page, byte[] bytes) => Bus.Peek(Ram.Start + ((ulong)page << GuestMemory.PageShift), bytes) == bytes.Length;

    public void Load(IReadOnlyCollection<SavedUnit> units, Action loadRam)
    {
        Break("load");
        loadRam();
        Archive.Load(units, StateUnits);
        Log.Enqueue("loaded");
    }

    public void TraceStep(string step)
    {
    }

    public TimeSpan StoodStill => ClockRuns ? TimeSpan.Zero : TimeSpan.FromMilliseconds(1);

    public void AdvanceClock(TimeSpan by) => Log.Enqueue("clock advanced");

    /// <summary>What a reset of the machine does besides; nothing by default.</summary>
    public Action OnReset { get; set; } = () => { };

    public void Reset()
    {
        OnReset();
        Interlocked.Increment(ref Resets);
    }

    private void Break(string what)
    {
        if (Volatile.Read(ref Broken) == what)
        {
            throw new InvalidOperationException($"{what} is broken");
        }
    }

    private sealed class EnabledUnit(FakeMachine machine) : IStateUnit
    {
        public string Id => "psci";

        public void Save(StateWriter writer) => writer.Write<bool>("enabled", machine._enabled);

        public void Load(StateReader reader) => reader.Read("enabled", machine._enabled.AsSpan());
    }

    internal sealed class FakeVcpu : IVcpu
    {
        private IVcpuWaker? _waker;
        private int _exit;
        private int _parked;

        public BlockingCollection<Func<VcpuExit>> Script { get; } = [];

        public int Runs;

        /// <summary>What it does in each run, as a guest does; null for nothing.</summary>
        public Action? Work { get; set; }

        public int InRun;

        public bool HasWakeup => Volatile.Read(ref _exit) != 0;

        public VcpuExit Run(long budget)
        {
            Interlocked.Increment(ref Runs);
            Interlocked.Increment(ref InRun);
            try
            {
                Work?.Invoke();
                if (Interlocked.Exchange(ref _exit, 0) != 0)
                {
                    return VcpuExit.Requested;
                }

                return Script.TryTake(out Func<VcpuExit>? step, 1) ? step() : VcpuExit.BudgetSpent;
            }
            finally
            {
                Interlocked.Decrement(ref InRun);
            }
        }

        public void RequestExit()
        {
            Volatile.Write(ref _exit, 1);
            Wake();
        }

        public void Wake()
        {
            if (Interlocked.Exchange(ref _parked, 0) == 1)
            {
                _waker?.Wake();
            }
        }

        public bool TryPark()
        {
            Interlocked.Exchange(ref _parked, 1);
            return !HasWakeup || Interlocked.Exchange(ref _parked, 0) == 0;
        }

        public bool IsParked => Volatile.Read(ref _parked) == 1;

        public void Unpark() => Interlocked.Exchange(ref _parked, 0);

        public void SetWaker(IVcpuWaker? waker) => Volatile.Write(ref _waker, waker);

        public void PowerOn(GuestPhysicalAddress entryPoint, ulong context)
        {
        }

        public string DumpRegisters() => " PC=00000000deadbeef";

        public string DescribeTlb() => "no translations";

        public byte[] ReadMemory(GuestVirtualAddress address, int length) => new byte[length];
    }

    internal sealed class FakePort(FakeMachine machine) : ICpuHotplugPort
    {
        private readonly ConcurrentQueue<CpuHotplugEvent> _events = [];

        public Doorbell Doorbell { get; } = new();

        public bool HasUnseen => false;

        public void Enable(int cpu)
        {
            Volatile.Write(ref machine._enabled[cpu], true);
            machine.Log.Enqueue($"enable {cpu}");
        }

        public void Disable(int cpu)
        {
            Volatile.Write(ref machine._enabled[cpu], false);
            machine.Log.Enqueue($"disable {cpu}");
        }

        public void Reset() => machine.Log.Enqueue("reset");

        public void Insert(int cpu)
        {
            machine.Break("insert");
            Volatile.Write(ref machine._enabled[cpu], true);
            machine.Log.Enqueue($"insert {cpu}");
        }

        public void RequestRemoval(int cpu) => machine.Log.Enqueue($"remove {cpu}");

        public bool TryTake(out CpuHotplugEvent happened) => _events.TryDequeue(out happened);

        /// <summary>The guest evaluates _OST.</summary>
        public void Ost(int cpu, int source, int status)
        {
            _events.Enqueue(new CpuHotplugEvent(cpu, false, source, status));
            Doorbell.Ring();
        }

        /// <summary>The guest evaluates _EJ0: the register write disables the CPU at once.</summary>
        public void Eject(int cpu)
        {
            Volatile.Write(ref machine._enabled[cpu], false);
            _events.Enqueue(new CpuHotplugEvent(cpu, true, 0, 0));
            Doorbell.Ring();
        }
    }
}
