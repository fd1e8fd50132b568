using Vmm.Acpi.Tables;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.InterruptController;

/// <summary>
/// A GICv2m frame (Arm, Server Base System Architecture, DEN 0029, appendix on GICv2m): a message whose data is the INTID of one of its
/// SPIs is an edge of this SPI. ACPI describes it in the MADT.
/// </summary>
/// <remarks>
/// <see cref="_lock"/> orders the edges of a line, which a vCPU and devices may raise at once. Lock order: device core → PCI host →
/// frame → GIC.
/// </remarks>
/// <param name="address">The address of its registers.</param>
/// <param name="memory">The guest's RAM.</param>
/// <param name="first">The INTID of the first line.</param>
/// <param name="lines">Its SPIs, one after the other.</param>
[QomType("arm-gicv2m")]
public sealed class GicV2mFrame(GuestPhysicalAddress address, IDmaMemory memory, IntId first, IReadOnlyList<InterruptLine> lines)
    : IMsiController, IMsiTarget, IMmioDevice, IStateUnit
{
    private const ulong Size = 0x1000;
    private const ulong MSI_TYPER = 0x008;
    private const ulong MSI_SETSPI_NS = 0x040;
    private const ulong MSI_IIDR = 0xFCC;

    // The product, as in QEMU; implementer and revision are 0.
    private const uint Product = 0x51 << 20;

    private const int TypeFirst = 16;
    private const uint DataIntId = 0x3FF;

    private readonly Lock _lock = new();

    public string Name => "gicv2m";

    /// <summary>What the MADT says of it.</summary>
    public MadtMsiFrame Entry => new(address.Value, (ushort)first.Value, (ushort)lines.Count);

    public IMsiTarget Target => this;

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    string IStateUnit.Id => Name;

    public void Send(MsiMessage message, uint requester)
    {
        if (message.Address == (address + MSI_SETSPI_NS).Value)
        {
            Raise(message.Data);
        }
        else
        {
            message.Store(memory);
        }
    }

    public ulong Read(ulong offset, int size) => offset switch
    {
        _ when size != sizeof(uint) => 0,
        MSI_TYPER => ((uint)first.Value << TypeFirst) | (uint)lines.Count,
        MSI_IIDR => Product,
        _ => 0,
    };

    public void Write(ulong offset, int size, ulong value)
    {
        if (offset == MSI_SETSPI_NS && size is sizeof(ushort) or sizeof(uint))
        {
            Raise((uint)value);
        }
    }

    public void Reset()
    {
    }

    /// <summary>A machine whose frame has other interrupts, or none, is another machine.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write("first", first.Value);
        writer.Write("count", lines.Count);
    }

    public void Load(StateReader reader)
    {
        reader.Require(reader.Read<int>("first") == first.Value, "first");
        reader.Require(reader.Read<int>("count") == lines.Count, "count");
    }

    public void DescribeIn(Fdt gic) => gic.Node($"v2m@{address.Value:x}", node => node.Text("compatible", "arm,gic-v2m-frame")
        .Flag("msi-controller").Cells("phandle", Fdt.MsiHandle).Cells64("reg", address.Value, Size));

    private void Raise(uint data)
    {
        int line = (int)(data & DataIntId) - first.Value;
        if (line >= 0 && line < lines.Count)
        {
            lock (_lock)
            {
                lines[line].Pulse();
            }
        }
    }
}
