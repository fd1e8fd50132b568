namespace Vmm.Emulation.Devices.Pci;

/// <summary>QEMU's words for classes of PCI functions (hw/pci/pci.c).</summary>
public static class PciClassNames
{
    /// <summary>The class of bridges to other PCI buses: base class and subclass.</summary>
    public const int Bridge = 0x0604;

    private static readonly Dictionary<int, string> s_names = new()
    {
        [0x0100] = "SCSI controller", [0x0200] = "Ethernet controller", [0x0600] = "Host bridge", [Bridge] = "PCI bridge",
    };

    /// <summary>The word for a class; null where QEMU has none.</summary>
    public static string? Find(int kind) => s_names.GetValueOrDefault(kind);

    /// <summary>The same, for people: a class without a word is named by its number.</summary>
    public static string Of(int kind) => Find(kind) ?? $"Class {kind:x4}";
}
