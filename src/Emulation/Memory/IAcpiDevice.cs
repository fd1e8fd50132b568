namespace Vmm.Emulation.Memory;

/// <summary>A device whose registers AML or the OS's ACPI drivers use: the trace category <c>acpi</c> shows accesses by register.</summary>
public interface IAcpiDevice : IMmioDevice
{
    /// <summary>The name of the register at an offset, as its manual gives it for that direction; null where there is none.</summary>
    string? RegisterName(ulong offset, bool write);
}
