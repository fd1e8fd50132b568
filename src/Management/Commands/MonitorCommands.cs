using Vmm.Management.CharacterDevices;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>
/// All commands of one VM, by family. A face (QMP, HMP) offers them in its own form; the families do not know the faces.
/// </summary>
public sealed class MonitorCommands
{
    private readonly YankCommands _yank;

    /// <summary>The commands of a VM without character devices, or of a VM in another process.</summary>
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
        Jobs = new JobCommands();
        Snapshots = new SnapshotCommands(vm, Jobs);
        Migration = new MigrationCommands(vm);
        Blocks = new BlockCommands(vm);
        Balloon = new BalloonCommands(vm);
        Net = new NetCommands(vm);
        Objects = new ObjectCommands(vm);
        Pci = new PciCommands(vm);
        CharacterDevices = new CharacterDeviceCommands(devices);
        _yank = new YankCommands(vm, devices);
    }

    public MonitorVm Vm { get; }

    public RunStateCommands RunState { get; }

    public MachineCommands Machine { get; }

    public CpuCommands Cpus { get; }

    public DeviceCommands Devices { get; }

    public QomCommands Qom { get; }

    public MemoryCommands Memory { get; }

    public JobCommands Jobs { get; }

    public SnapshotCommands Snapshots { get; }

    public MigrationCommands Migration { get; }

    public BlockCommands Blocks { get; }

    public BalloonCommands Balloon { get; }

    public NetCommands Net { get; }

    public ObjectCommands Objects { get; }

    public PciCommands Pci { get; }

    public CharacterDeviceCommands CharacterDevices { get; }

    /// <summary>Adds the commands of all families as QAPI has them.</summary>
    public void Register(QapiCommandTable table)
    {
        RunState.Register(table);
        Machine.Register(table);
        Cpus.Register(table);
        Devices.Register(table);
        Qom.Register(table);
        Memory.Register(table);
        Jobs.Register(table);
        Snapshots.Register(table);
        Migration.Register(table);
        Blocks.Register(table);
        Balloon.Register(table);
        Net.Register(table);
        Objects.Register(table);
        Pci.Register(table);
        CharacterDevices.Register(table);
        _yank.Register(table);
    }
}
