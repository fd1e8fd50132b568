using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Qmp;

namespace Vmm.Management.Commands;

/// <summary>
/// All commands of one VM, for programs (<see cref="Qmp"/>) and for people (<see cref="Hmp"/>): what both have is done by the same family.
/// The two tables are made when they are first asked for: a VM whose monitor nobody uses starts without them, and without JSON.
/// </summary>
public sealed class MonitorCommands
{
    private readonly Func<IEnumerable<CharacterDevice>> _devices;
    private readonly Lazy<HmpCommandTable> _hmp;
    private readonly Lazy<QmpCommandTable> _qmp;

    /// <summary>Of a VM without character devices, or of another process.</summary>
    public MonitorCommands(MonitorVm vm)
        : this(vm, () => [])
    {
    }

    /// <param name="vm">The VM.</param>
    /// <param name="devices">Its character devices.</param>
    public MonitorCommands(MonitorVm vm, Func<IEnumerable<CharacterDevice>> devices)
    {
        Vm = vm;
        RunState = new RunStateCommands(vm);
        Machine = new MachineCommands(vm);
        Cpus = new CpuCommands(vm);
        Devices = new DeviceCommands(vm, Cpus);
        Qom = new QomCommands(vm, Cpus);
        Memory = new MemoryCommands(vm);
        CharacterDevices = new CharacterDeviceCommands(devices);
        _devices = devices;
        _hmp = new Lazy<HmpCommandTable>(() => HmpCommands.Create(this));
        _qmp = new Lazy<QmpCommandTable>(CreateQmp);
    }

    public MonitorVm Vm { get; }

    public RunStateCommands RunState { get; }

    public MachineCommands Machine { get; }

    public CpuCommands Cpus { get; }

    public DeviceCommands Devices { get; }

    public QomCommands Qom { get; }

    public MemoryCommands Memory { get; }

    public CharacterDeviceCommands CharacterDevices { get; }

    public HmpCommandTable Hmp => _hmp.Value;

    public QmpCommandTable Qmp => _qmp.Value;

    private QmpCommandTable CreateQmp()
    {
        var table = new QmpCommandTable();
        RunState.Register(table);
        Machine.Register(table);
        Cpus.Register(table);
        Devices.Register(table);
        Qom.Register(table);
        Memory.Register(table);
        CharacterDevices.Register(table);
        new YankCommands(_devices).Register(table);
        new ControlCommands(this).Register(table);
        return table;
    }
}
