using Vmm.Actors.Tests;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Nodes;

internal static class NodeFolder
{
    /// <summary>Removes the folder of a node that has ended, and ends what VMs it has left, which write to it until then.</summary>
    public static void Remove(string folder)
    {
        string vms = Path.Combine(folder, "vms");
        foreach (string vm in Directory.Exists(vms) ? Directory.GetDirectories(vms) : [])
        {
            if (VmProcess.Find(new VmFolder("", vm)) is { } process)
            {
                process.Kill();
                Patience.Until(() => !process.Identity.IsAlive, $"the process of {vm} has ended");
            }
        }

        Directory.Delete(folder, recursive: true);
    }
}
