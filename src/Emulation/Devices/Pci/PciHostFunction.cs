namespace Vmm.Emulation.Devices.Pci;

/// <summary>The host bridge as function 00.0 of its own bus, which does nothing: QEMU's <c>gpex-root</c>.</summary>
internal sealed class PciHostFunction()
    : PciFunction("gpex-root", new PciConfigSpace(express: false, EndpointHeader(s_identity)))
{
    private const ushort Gpex = 0x0008;
    private const uint HostBridge = 0x06_0000;

    private static readonly PciIdentity s_identity = new(
        PciSpec.RedHat, Gpex, HostBridge, SubsystemVendor: PciSpec.RedHatVirtio, Subsystem: PciSpec.QemuSubsystem);
}
