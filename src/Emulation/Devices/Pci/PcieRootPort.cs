namespace Vmm.Emulation.Devices.Pci;

/// <summary>
/// A root port: the bridge to one slot, QEMU's <c>pcie-root-port</c>. What is in the slot at power-on stays there: the port has no
/// registers of a slot yet.
/// </summary>
public sealed class PcieRootPort : PciBridge
{
    private const ushort Device = 0x000C;
    private const uint Bridge = 0x06_0400;

    /// <param name="id">The name on the board.</param>
    /// <param name="bus">The name of the bus behind the port.</param>
    /// <param name="port">The number of its link.</param>
    public PcieRootPort(string id, string bus, PciHost host, byte port)
        : base(id, bus, host, new PciIdentity(PciSpec.RedHat, Device, Bridge), interruptPin: 0) =>
        PciExpress.AddCapability(Config, PciExpress.RootPort, new PciRegister(0x0F, 1, port));
}
