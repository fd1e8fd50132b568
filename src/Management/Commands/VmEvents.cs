using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>A program of the guest has opened or closed a port (QEMU, qapi/char.json).</summary>
public sealed record VserportChangeEvent(string Id, bool Open);

/// <summary>QEMU's causes of a shutdown or reset. Those that occur here are in <see cref="Vmm.Actors.Protocol.ShutdownCause"/>.</summary>
public enum ShutdownCauseName
{
    None,
    HostError,
    HostQmpQuit,
    HostQmpSystemReset,
    HostSignal,
    HostUi,
    GuestShutdown,
    GuestReset,
    GuestPanic,
    SubsystemReset,
    SnapshotLoad,
}

public sealed record ResetEvent(bool Guest, ShutdownCauseName Reason);

public sealed record ShutdownEvent(bool Guest, ShutdownCauseName Reason);

public sealed record DeviceDeletedEvent(string? Device, string Path);

public sealed record DeviceUnplugGuestErrorEvent(string? Device, string Path);

public sealed record AcpiDeviceOstEvent(AcpiOstInfo Info);

/// <summary>The end of a request to plug, unplug, enable or disable a CPU.</summary>
/// <param name="Device">The id of the CPU or device.</param>
/// <param name="CpuIndex">Null for a device that is no CPU.</param>
/// <param name="OstStatus">The status of the guest's _OST for a refusal (ACPI 6.5, section 6.3.5); otherwise null.</param>
public sealed record HotplugOutcomeEvent(string Device, string Path, long? CpuIndex, HotplugOperation Operation, HotplugOutcomeKind Result,
    long? OstStatus);

/// <summary>Translates what the VM publishes into QAPI events. One thread at a time.</summary>
public sealed class VmEvents
{
    /// <summary>
    /// The name of an event that QEMU does not have. QAPI asks for such a prefix (docs/devel/qapi-code-gen, "Naming rules").
    /// </summary>
    public const string HotplugOutcomeName = "__org.vmm_HOTPLUG_OUTCOME";

    // Whether the VM ran at the last status; null before the first one.
    private bool? _running;

    // Whether clients hear of migrations: the capability "events".
    private bool _migrationEvents;

    /// <summary>All events that can occur, with the shapes of their data.</summary>
    public static IReadOnlyList<QapiEventShape> Shapes { get; } =
    [
        new("STOP", null),
        new("RESUME", null),
        new("RESET", typeof(ResetEvent)),
        new("SHUTDOWN", typeof(ShutdownEvent)),
        new("POWERDOWN", null),
        new("DEVICE_DELETED", typeof(DeviceDeletedEvent)),
        new("DEVICE_UNPLUG_GUEST_ERROR", typeof(DeviceUnplugGuestErrorEvent)),
        new("ACPI_DEVICE_OST", typeof(AcpiDeviceOstEvent)),
        new(JobCommands.StatusChange, typeof(JobStatusChangeEvent)),
        new("MIGRATION", typeof(MigrationEvent)),
        new("MIGRATION_PASS", typeof(MigrationPassEvent)),
        new("BLOCK_IO_ERROR", typeof(BlockIoErrorEvent)),
        new("VSERPORT_CHANGE", typeof(VserportChangeEvent)),
        new("BALLOON_CHANGE", typeof(BalloonChangeEvent)),
        new(HotplugOutcomeName, typeof(HotplugOutcomeEvent)),
    ];

    public IEnumerable<(string Name, object? Data)> Of(IProtocolMessage happened)
    {
        switch (happened)
        {
            case VmStatus status:
                bool running = status.RunState == VmRunState.Running;

                // STOP is told neither of a machine that was never started nor of a guest that has shut down, for which SHUTDOWN is enough,
                // as in QEMU.
                if (running != _running
                    && (running || status.RunState is not (VmRunState.Prelaunch or VmRunState.InMigrate or VmRunState.Shutdown)))
                {
                    yield return (running ? "RESUME" : "STOP", null);
                }

                _running = running;
                break;
            case VmReset reset:
                yield return ("RESET", new ResetEvent(reset.Guest, CauseOf(reset.Cause)));
                break;
            case VmShutdown shutdown:
                yield return ("SHUTDOWN", new ShutdownEvent(shutdown.Guest, CauseOf(shutdown.Cause)));
                break;
            case PowerButtonPressed:
                yield return ("POWERDOWN", null);
                break;
            case AcpiDeviceOst ost:
                yield return ("ACPI_DEVICE_OST", new AcpiDeviceOstEvent(CpuCommands.OstOf(ost.Id, ost.Cpu, ost.Source, ost.Status)));
                break;
            case MigrationCapabilities capabilities:
                _migrationEvents = capabilities.On[(int)MigrationCapability.Events];
                break;
            case MigrationChanged changed when _migrationEvents:
                yield return ("MIGRATION", new MigrationEvent(changed.Status));
                break;
            case MigrationPassed passed when _migrationEvents:
                yield return ("MIGRATION_PASS", new MigrationPassEvent(passed.Pass));
                break;
            case BlockIoFailed failed:
                yield return ("BLOCK_IO_ERROR", new BlockIoErrorEvent(
                    failed.QomPath, failed.Disk, failed.NodeName,
                    failed.IsRead ? IoOperationType.Read : IoOperationType.Write, failed.Action, failed.NoSpace, failed.Reason));
                break;
            case BalloonChanged balloon:
                yield return ("BALLOON_CHANGE", new BalloonChangeEvent(balloon.Bytes));
                break;
            case SerialPortChanged port:
                yield return ("VSERPORT_CHANGE", new VserportChangeEvent(port.Device, port.IsOpen));
                break;
            case HotplugOutcome outcome:
                foreach ((string, object?) e in OfOutcome(outcome))
                {
                    yield return e;
                }

                break;
        }
    }

    private static IEnumerable<(string Name, object? Data)> OfOutcome(HotplugOutcome outcome)
    {
        string path = outcome.QomPath.Length > 0 ? outcome.QomPath : CpuCommands.PathOf(outcome.Id);
        switch (outcome)
        {
            case { Operation: HotplugOperation.Unplug, Kind: HotplugOutcomeKind.Done }:
                yield return ("DEVICE_DELETED", new DeviceDeletedEvent(outcome.Id.Length > 0 ? outcome.Id : null, path));
                break;
            // QEMU has this event of CPUs, and not of devices in slots, whose guest has no words for a refusal.
            case { Operation: HotplugOperation.Unplug, Kind: HotplugOutcomeKind.Refused, Cpu: >= 0 }:
                yield return ("DEVICE_UNPLUG_GUEST_ERROR", new DeviceUnplugGuestErrorEvent(outcome.Id, path));
                break;
        }

        long? status = outcome.Kind == HotplugOutcomeKind.Refused && outcome.Cpu >= 0 ? outcome.OstStatus : null;
        long? cpu = outcome.Cpu >= 0 ? outcome.Cpu : null;
        yield return (HotplugOutcomeName, new HotplugOutcomeEvent(outcome.Id, path, cpu, outcome.Operation, outcome.Kind, status));
    }

    private static ShutdownCauseName CauseOf(ShutdownCause cause) => cause switch
    {
        ShutdownCause.HostQuit => ShutdownCauseName.HostQmpQuit,
        ShutdownCause.HostReset => ShutdownCauseName.HostQmpSystemReset,
        ShutdownCause.HostUi => ShutdownCauseName.HostUi,
        ShutdownCause.HostSignal => ShutdownCauseName.HostSignal,
        ShutdownCause.GuestShutdown => ShutdownCauseName.GuestShutdown,
        ShutdownCause.GuestReset => ShutdownCauseName.GuestReset,
        _ => ShutdownCauseName.HostError,
    };
}
