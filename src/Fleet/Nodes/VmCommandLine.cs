using System.Globalization;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Nodes;

/// <summary>The options of <c>vmm run</c> for a VM of the fleet. The current folder is the VM's.</summary>
internal static class VmCommandLine
{
    /// <param name="more">What is said beside the specification, such as a snapshot to go on from.</param>
    public static IReadOnlyList<string> Of(NodeSettings settings, VmFolder folder, VmSpec spec, IReadOnlyList<string> more)
    {
        var line = new List<string>(settings.Program)
        {
            "run",
            "-name", folder.Vm,
            "-smp", string.Create(CultureInfo.InvariantCulture, $"cpus={spec.Cpus},maxcpus={spec.MaxCpus}"),
            "-m", string.Create(CultureInfo.InvariantCulture, $"{spec.MemoryBytes >> 10}k"),
            "-cpu", spec.CpuModel,
            "-control", "unix:control",
            "-serial", "unix:console,server=on,wait=off",
            "-monitor", "none",
            "-state", "state",
            "-sandbox", "on,elevateprivileges=deny,spawn=deny",
        };
        Add(line, "-kernel", spec.Kernel);
        Add(line, "-initrd", spec.Initrd);
        Add(line, "-append", spec.Append);
        Add(line, "-bios", spec.Firmware);
        foreach (string disk in spec.Disks)
        {
            string format = IsQcow2(disk) ? "qcow2" : "raw";
            Add(line, "-drive", $"file={disk.Replace(",", ",,", StringComparison.Ordinal)},if=virtio,format={format}");
        }

        Add(line, "-deadline", settings.Lease?.Path ?? "");
        settings.Migration?.AddTo(line);
        line.AddRange(more);
        return line;
    }

    /// <summary>Whether an image is no raw one.</summary>
    public static bool IsQcow2(string disk) => disk.EndsWith(".qcow2", StringComparison.Ordinal);

    /// <summary>Adds an option, unless its value is empty.</summary>
    public static void Add(List<string> line, string option, string value)
    {
        if (value.Length > 0)
        {
            line.Add(option);
            line.Add(value);
        }
    }
}
