using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Boards;

/// <summary>
/// What a machine is made of apart from CPUs and RAM, as those see it who describe it to a guest, boot it, or make actors for its devices.
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
/// What the device is on this board, such as <c>uart</c>: the name of its actor, and of its saved state in messages.
/// </param>
/// <param name="At">Where it is.</param>
/// <param name="InTree">Whether the device tree mentions it.</param>
public sealed record PlacedDevice(string Id, IDevice Device, Placement At, bool InTree = true);
