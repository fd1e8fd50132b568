using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;
using Vmm.Management.Hmp;
using Vmm.Management.Qmp;

namespace Vmm.Management.Commands;

/// <summary>All commands of one VM, for programs (<see cref="Qmp"/>) and for people (<see cref="Hmp"/>): what both have is done by the same family.</summary>
public sealed class MonitorCommands
{
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
        Hmp = HmpCommands.Create(this);
        Qmp = new QmpCommandTable();
        RunState.Register(Qmp);
        Machine.Register(Qmp);
        Cpus.Register(Qmp);
        Devices.Register(Qmp);
        Qom.Register(Qmp);
        Memory.Register(Qmp);
        CharacterDevices.Register(Qmp);
        new YankCommands(devices).Register(Qmp);
        new ControlCommands(this).Register(Qmp);
    }

    public MonitorVm Vm { get; }

    public RunStateCommands RunState { get; }

    public MachineCommands Machine { get; }

    public CpuCommands Cpus { get; }

    public DeviceCommands Devices { get; }

    public QomCommands Qom { get; }

    public MemoryCommands Memory { get; }

    public CharacterDeviceCommands CharacterDevices { get; }

    public HmpCommandTable Hmp { get; }

    public QmpCommandTable Qmp { get; }
}
