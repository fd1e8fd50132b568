using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;

namespace Vmm.Tests;

/// <summary>A machine without actors.</summary>
internal static class MachinePower
{
    /// <summary>Power-on or reset: the devices, then RAM and CPUs.</summary>
    public static void PowerOn(this VirtMachine machine)
    {
        foreach (PlacedDevice placed in machine.Board.Devices)
        {
            placed.Device.Reset();
        }

        machine.Boot();
    }
}
