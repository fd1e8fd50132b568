using Vmm.Actors.Hotplug;
using Vmm.Actors.Migration;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Vm;

/// <summary>How a VM's actors are set up.</summary>
/// <param name="VcpuDispatcher">Dispatcher of vCPU actors; null for the default one, in tests.</param>
/// <param name="HotplugTimeout">How long the guest has for a plug or unplug.</param>
/// <param name="SerialOutput">Takes the guest's serial output.</param>
public sealed record VmOptions(string? VcpuDispatcher, TimeSpan HotplugTimeout, Action<ReadOnlyMemory<byte>> SerialOutput)
{
    /// <summary>
    /// The hotplug journal, after <see cref="HotplugState.PowerOn"/>. It is a file when another process may go on with the machine.
    /// </summary>
    public IHotplugJournal Journal { get; init; } = new MemoryJournal();

    /// <summary>Where snapshots are kept; null for a VM that has no place for them.</summary>
    public SnapshotStore? Snapshots { get; init; }

    /// <summary>What addresses of migrations mean; null for a VM that cannot migrate.</summary>
    public IMigrationTransport? Migration { get; init; }

    /// <summary>Who owns the guest, beside other processes.</summary>
    public IMigrationJournal MigrationJournal { get; init; } = new MemoryMigrationJournal();

    /// <summary>How long whoever connects to a VM that waits for a migration has to say what it is; there for those who never do.</summary>
    public TimeSpan MigrationHelloTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Makes devices while the VM runs.</summary>
    public IDeviceMaker DeviceMaker { get; init; } = new NoDeviceMaker();

    /// <summary>A reset request powers the machine off instead (<c>-no-reboot</c>).</summary>
    public bool ShutdownOnReset { get; init; }
}
