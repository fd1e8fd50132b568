using System.Diagnostics;

namespace Vmm.Emulation.Tests.SystemOracle;

/// <summary>The independent implementation: <c>qemu-system-aarch64</c>, entered at EL1 with no EL2 and EL3.</summary>
internal sealed class QemuMachine : IMachineRunner
{
    public string Run(string image, string cpuModel, int cpus)
    {
        // Only newer ones have what `max` has here, and all models.
        bool recent = cpuModel.Split(',')[0] is not ("cortex-a57" or "cortex-a72" or "neoverse-n1");
        string[] qemu = recent ? RecentQemu.System : ["qemu-system-aarch64"];

        // Properties that QEMU asks the machine, and ours has with the name of the model; QEMU has a GICv2m frame with a GICv2 alone.
        const string Tags = ",mte=on";
        const string Frame = ",msi=gicv2m";
        string machine = (cpuModel.Contains(Frame, StringComparison.Ordinal) ? "virt,gic-version=2" : "virt,gic-version=3")
            + (cpuModel.Contains(Tags, StringComparison.Ordinal) ? Tags : "");
        string cpu = cpuModel.Replace(Tags, "", StringComparison.Ordinal).Replace(Frame, "", StringComparison.Ordinal);
        string[] without = recent ? ["-nodefaults", "-audio", "none"] : [];
        using Process process = Process.Start(new ProcessStartInfo(
            qemu[0],
            [
                .. qemu[1..], .. without,
                "-M", machine, "-cpu", cpu,
                "-smp", cpus.ToString(), "-m", "128", "-display", "none", "-monitor", "none",
                "-net", "none", "-serial", "stdio", "-kernel", image,
            ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        Task<string> text = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(Patience.Limit))
        {
            process.Kill();
            throw new TimeoutException("QEMU did not power off; it printed:\n" + text.Result);
        }

        return text.Result;
    }
}
