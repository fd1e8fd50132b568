namespace Vmm.Emulation.Memory;

/// <summary>
/// A device whose registers are used by AML or by the ACPI drivers of the guest. The trace category <c>acpi</c> shows its accesses by
/// register.
/// </summary>
public interface IAcpiDevice : IMmioDevice
{
    /// <summary>The name that the manual gives to a register at an offset, for reading or writing; null if there is none.</summary>
    string? RegisterName(ulong offset, bool write);
}
