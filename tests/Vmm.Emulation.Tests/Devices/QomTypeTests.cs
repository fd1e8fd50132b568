using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Tests.Devices;

/// <summary>The objects that QEMU 10.0.2 lists for the same devices (<c>info qom-tree</c>).</summary>
public sealed class QomTypeTests
{
    [Fact]
    public void All_are_the_types_of_QEMU() => Assert.Equal(
        [
            "acpi-ged", "arm-gicv2m", "arm-gicv3", "arm-gicv3-its", "cfi.pflash01", "fw_cfg_mem", "gpex-pcihost", "pl011", "pl031", "pl061",
            "virtio-mmio", "vmgenid",
        ],
        QomTypeAttribute.All);

    [Theory]
    [InlineData(true, "arm-gicv3 arm-gicv3-its pl011 pl031 fw_cfg:fw_cfg_mem pl061 acpi-ged gpex-pcihost")]
    [InlineData(false, "arm-gicv3 arm-gicv3-its pl011 pl031 fw_cfg:fw_cfg_mem pl061 gpex-pcihost")]
    public void Board_says_which_devices_are_objects_and_how_they_are_called(bool acpi, string objects)
    {
        var config = new MachineConfig(
            CpuModel.Find("cortex-a57")!, 1, new CpuTopology(1, 1, 1, 1), 128 << 20, new BootConfig(default, null, "")) { Acpi = acpi };
        using var board = new VirtBoard(config);
        objects += string.Concat(Enumerable.Repeat(" virtio-mmio", VirtBoard.VirtioSlots));
        Assert.Equal(objects, string.Join(' ', board.Devices.Where(d => d.InQom && QomTypeAttribute.Of(d.Device) != null)
            .Select(d => (d.QomName == null ? "" : $"{d.QomName}:") + QomTypeAttribute.Of(d.Device))));
    }
}
