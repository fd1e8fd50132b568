using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.CfiFlash;

/// <content>The board's view.</content>
[QomType("cfi.pflash01")]
public sealed partial class CfiFlash : IDevice
{
    /// <summary>
    /// Addresses of the banks that this bank's node of a device tree lists: one node is of all chips. Empty where the node of another bank
    /// lists it.
    /// </summary>
    public IReadOnlyList<GuestPhysicalAddress> NodeOf { get; init; } = [];

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, _memory.Size, _memory)];

    public IStateUnit StateUnit => this;

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
