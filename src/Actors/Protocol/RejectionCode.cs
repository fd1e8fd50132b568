namespace Vmm.Actors.Protocol;

/// <summary>Why a command or query was rejected, for programs. The text beside it is for people and may change.</summary>
public enum RejectionCode
{
    /// <summary>The run state does not allow it, such as a device's state of a VM that runs.</summary>
    WrongRunState,

    /// <summary>A part of the VM has failed: a reset is required.</summary>
    ResetRequired,

    /// <summary>The VM has ended.</summary>
    VmEnded,

    /// <summary>The machine lacks what it takes, such as CPU hotplug without ACPI.</summary>
    NotSupported,

    /// <summary>A CPU by its number: there is none, or it has no actor.</summary>
    CpuNotFound,

    /// <summary>A device by its name or place.</summary>
    DeviceNotFound,

    /// <summary>An argument is out of its range or not well formed.</summary>
    InvalidArgument,

    /// <summary>Another device has the name.</summary>
    DuplicateId,

    /// <summary>There is a CPU at that place.</summary>
    SlotInUse,

    /// <summary>The CPU can never leave: the boot CPU, or one that the MADT has as Enabled.</summary>
    CannotLeave,

    /// <summary>A plug, unplug, enabling or disabling of the CPU is under way.</summary>
    InProgress,

    /// <summary>The journal cannot be written: nothing was changed.</summary>
    NotWritten,

    /// <summary>A saved state is damaged or another machine's.</summary>
    InvalidState,

    /// <summary>A defect of ours.</summary>
    InternalError,
}

/// <summary>Why something cannot be.</summary>
/// <param name="Code">For programs.</param>
/// <param name="Reason">For people: one line, in QEMU's words where QEMU has some.</param>
public sealed record Rejection(RejectionCode Code, string Reason);
