using Vmm.Acpi;

namespace Vmm.Emulation.Devices;

/// <summary>Takes the ACPI descriptions of devices, in the order in which they add them.</summary>
public interface IAmlSink
{
    /// <summary>Adds an object, in AML, to the scope \_SB of the DSDT.</summary>
    void Add(byte[] aml);

    /// <summary>Adds a table beside the DSDT.</summary>
    void AddTable(AcpiTable table);
}
