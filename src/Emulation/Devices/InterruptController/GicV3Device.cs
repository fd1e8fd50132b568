using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.InterruptController;

/// <summary>
/// The GICv3 as a board lists it. It has a window for the distributor, and one for each run of adjacent redistributors. ACPI describes it
/// in the MADT, together with the CPUs.
/// </summary>
[QomType("arm-gicv3")]
public sealed class GicV3Device(Gic gic) : IDevice
{
    public Gic Gic { get; } = gic;

    /// <summary>What takes messages; null for nothing.</summary>
    public IMsiController? Messages { get; init; }

    public IReadOnlyList<DeviceRegion> Regions { get; } =
    [
        new DeviceRegion(gic.Distributor, GicSpec.DistributorSize),
        .. gic.RedistributorRegions.Select(r => new DeviceRegion(r, (ulong)r.Count * GicSpec.RedistributorStride)),
    ];

    public IReadOnlyList<IStateUnit> StateUnits => [Gic];

    public void Reset() => Gic.Reset();

    public void Describe(Fdt tree, Placement at) => tree.Node($"intc@{at.Address:x}", intc =>
    {
        intc.Text("compatible", "arm,gic-v3").Cells("#address-cells", 2).Cells("#size-cells", 2).Flag("ranges")
            .Cells("#interrupt-cells", 3).Flag("interrupt-controller").Cells("phandle", Fdt.GicHandle)
            .Cells("#redistributor-regions", (uint)Regions.Count - 1)
            .Cells64("reg", [.. at.Addresses.Zip(Regions).SelectMany(placed => new[] { placed.First.Value, placed.Second.Size })]);
        Messages?.DescribeIn(intc);
    });
}
