namespace Vmm.Actors.Protocol;

/// <summary>The reason of a rejection, for programs. The text beside it is for people and may change.</summary>
public enum RejectionCode
{
    /// <summary>The run state does not allow it. An example is the state of a device while the VM runs.</summary>
    WrongRunState,

    /// <summary>A part of the VM has failed: a reset is required.</summary>
    ResetRequired,

    /// <summary>The VM has ended.</summary>
    VmEnded,

    /// <summary>The machine cannot do it. An example is CPU hotplug without ACPI.</summary>
    NotSupported,

    /// <summary>No CPU has the number, or the CPU has no actor.</summary>
    CpuNotFound,

    /// <summary>No device has the name or the place.</summary>
    DeviceNotFound,

    /// <summary>An argument is out of range or not well formed.</summary>
    InvalidArgument,

    /// <summary>Another device already has the name.</summary>
    DuplicateId,

    /// <summary>Another CPU is already at that place.</summary>
    SlotInUse,

    /// <summary>The CPU can never leave: it is the boot CPU, or the MADT has it as Enabled.</summary>
    CannotLeave,

    /// <summary>A plug, unplug, enabling or disabling of the CPU is under way.</summary>
    InProgress,

    /// <summary>The journal cannot be written: nothing was changed.</summary>
    NotWritten,

    /// <summary>A saved state is damaged, or belongs to another machine.</summary>
    InvalidState,

    /// <summary>There is no snapshot of that name.</summary>
    SnapshotNotFound,

    /// <summary>Vmm itself has a defect.</summary>
    InternalError,

    /// <summary>The machine has no such device. An example is a balloon.</summary>
    DeviceNotActive,
}

/// <summary>The reason of a rejection.</summary>
/// <param name="Code">The reason for programs.</param>
/// <param name="Reason">The reason for people: one line, in QEMU's words where QEMU has some.</param>
public sealed record Rejection(RejectionCode Code, string Reason);
