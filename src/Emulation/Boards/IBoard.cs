using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Boards;

/// <summary>
/// The parts of a machine without CPUs and RAM, for code that describes the machine to a guest, boots it, or makes actors for its devices.
/// </summary>
public interface IBoard
{
    MachineConfig Config { get; }

    BoardMap Map { get; }

    /// <summary>All devices, in the order in which descriptions list them: the interrupt controller first.</summary>
    IReadOnlyList<PlacedDevice> Devices { get; }
}

/// <summary>A device of a board.</summary>
/// <param name="Id">
/// The name of the device on this board, such as <c>uart</c>. Its actor has the name, and so has its saved state in messages.
/// </param>
/// <param name="At">Its addresses and interrupts.</param>
public sealed record PlacedDevice(string Id, IDevice Device, Placement At)
{
    /// <summary>Whether it has an actor, which resets, saves and loads it.</summary>
    public bool HasActor => Device.StateUnits.Count > 0;

    /// <summary>Whether the device tree mentions it.</summary>
    public bool InTree { get; init; } = true;

    /// <summary>Whether monitors list it among QEMU's objects (<see cref="QomTypeAttribute"/>).</summary>
    public bool InQom { get; init; } = true;

    /// <summary>Its name below <c>/machine</c> among QEMU's objects; null for a numbered one in <c>/machine/unattached</c>.</summary>
    public string? QomName { get; init; }

    /// <summary>The path among QEMU's objects of a device that a person has asked for; null for one of the machine itself.</summary>
    public string? QomPath { get; init; }

    /// <summary>The type of such a device, as a person has asked for it.</summary>
    public string QomType { get; init; } = "";

    /// <summary>What it was made from; whoever takes it out of the machine disposes it.</summary>
    public IDisposable? Config { get; init; }

    /// <summary>Whether it came while the machine ran.</summary>
    public bool IsHotplugged { get; init; }

    /// <summary>Its place among what firmware is to boot from; null for none.</summary>
    public BootEntry? Boot { get; init; }
}

/// <summary>A device that firmware is to boot from.</summary>
/// <param name="Index">Its place: the lowest comes first (<c>bootindex=</c>).</param>
/// <param name="Path">Its path in Open Firmware's form, as QEMU has it.</param>
public sealed record BootEntry(int Index, string Path);
