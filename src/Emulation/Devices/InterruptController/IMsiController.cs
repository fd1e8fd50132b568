using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Devices.InterruptController;

/// <summary>A device that makes interrupts of messages. The device tree has it in the node of the GIC.</summary>
public interface IMsiController : IDevice
{
    /// <summary>Where PCI devices send their messages.</summary>
    IMsiTarget Target { get; }

    /// <summary>Adds its node to that of the GIC.</summary>
    /// <param name="gic">The node of the GIC.</param>
    void DescribeIn(Fdt gic);
}
