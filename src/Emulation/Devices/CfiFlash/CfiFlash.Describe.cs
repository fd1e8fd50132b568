using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.CfiFlash;

/// <content>The board's view.</content>
[QomType("cfi.pflash01")]
public sealed partial class CfiFlash : IDevice
{
    /// <summary>
    /// The addresses of the banks that are in this bank's node of a device tree. One node describes all chips, so the list is empty for a
    /// bank that is in another bank's node.
    /// </summary>
    public IReadOnlyList<GuestPhysicalAddress> NodeOf { get; init; } = [];

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, _memory.Size, _memory)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(Fdt tree, Placement at)
    {
        if (NodeOf.Count > 0)
        {
            tree.Node($"flash@{at.Address:x}", flash => flash.Text("compatible", "cfi-flash")
                .Cells64("reg", [.. NodeOf.SelectMany(bank => new[] { bank.Value, _memory.Size })])
                .Cells("bank-width", CfiFlashSpec.BusWidth));
        }
    }
}
