namespace Vmm.Emulation.Devices.Pci;

/// <summary>
/// Registers of PCI functions (PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification 5.0, chapter 7; PCI-to-PCI Bridge
/// Architecture Specification 1.2, chapter 3).
/// </summary>
internal static class PciSpec
{
    /// <summary>Bytes of the configuration space of a function, of which PCI without Express has the first 256.</summary>
    public const int ConfigurationSize = 4096;
    public const int ConventionalSize = 256;

    /// <summary>Bytes of the configuration space of all functions of a bus, and the number of those.</summary>
    public const int BusSize = 1 << 20;
    public const int FunctionsOfBus = 256;
    public const int SlotsOfBus = 32;
    public const int FunctionsOfSlot = 8;

    // The header of each function.
    public const int VendorId = 0x00;
    public const int DeviceId = 0x02;
    public const int Command = 0x04;
    public const int Status = 0x06;
    public const int RevisionId = 0x08;
    public const int ClassCode = 0x09;
    public const int CacheLineSize = 0x0C;
    public const int HeaderType = 0x0E;
    public const int BaseAddress0 = 0x10;
    public const int CapabilitiesPointer = 0x34;
    public const int InterruptLine = 0x3C;
    public const int InterruptPin = 0x3D;

    // The header of a function that is no bridge (type 0).
    public const int SubsystemVendorId = 0x2C;
    public const int SubsystemId = 0x2E;

    // The header of a bridge (type 1).
    public const int PrimaryBus = 0x18;
    public const int SecondaryBus = 0x19;
    public const int SubordinateBus = 0x1A;
    public const int IoBase = 0x1C;
    public const int IoLimit = 0x1D;
    public const int SecondaryStatus = 0x1E;
    public const int MemoryBase = 0x20;
    public const int MemoryLimit = 0x22;
    public const int PrefetchableBase = 0x24;
    public const int PrefetchableLimit = 0x26;
    public const int PrefetchableBaseUpper = 0x28;
    public const int PrefetchableLimitUpper = 0x2C;
    public const int IoBaseUpper = 0x30;
    public const int IoLimitUpper = 0x32;
    public const int BridgeControl = 0x3E;

    public const ushort CommandIo = 0x0001;
    public const ushort CommandMemory = 0x0002;
    public const ushort CommandMaster = 0x0004;
    public const ushort CommandSystemError = 0x0100;
    public const ushort CommandInterruptDisable = 0x0400;

    public const ushort StatusInterrupt = 0x0008;
    public const ushort StatusCapabilities = 0x0010;

    /// <summary>The bits of Status that a function sets and a write of 1 clears.</summary>
    public const ushort StatusErrors = 0xF900;

    // Base class and subclass.
    public const uint ScsiClass = 0x0100;
    public const uint EthernetClass = 0x0200;
    public const uint BridgeClass = 0x0604;

    public const byte HeaderBridge = 0x01;
    public const byte HeaderMultifunction = 0x80;

    public const ushort BridgeParity = 0x0001;
    public const ushort BridgeSystemError = 0x0002;
    public const ushort BridgeIsa = 0x0004;
    public const ushort BridgeVga = 0x0008;
    public const ushort BridgeReset = 0x0040;

    /// <summary>The capability of MSI-X (PCI 3.0, 6.8.2).</summary>
    public const byte MsixCapability = 0x11;
    public const ushort MsixEnable = 0x8000;
    public const ushort MsixFunctionMask = 0x4000;

    /// <summary>The capability of PCI Express (PCIe 5.0, 7.5.3).</summary>
    public const byte ExpressCapability = 0x10;

    public const byte VendorCapability = 0x09;

    /// <summary>The end of the header, behind which capabilities begin.</summary>
    public const int FirstCapability = 0x40;
    public const int FirstExtendedCapability = 0x100;

    /// <summary>Numbers of the vendors of QEMU's devices (QEMU, docs/specs/pci-ids.rst).</summary>
    public const ushort RedHat = 0x1B36;
    public const ushort RedHatVirtio = 0x1AF4;
    public const ushort QemuSubsystem = 0x1100;
}
