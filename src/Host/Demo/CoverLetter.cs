using Vmm.Host.Options;

namespace Vmm.Host.Demo;

/// <summary>
/// The commands in the cover letter of the series "Support of Virtual CPU Hotplug for ARMv8 Arch" (V5, section "Commands Used"). The launch
/// line has the files of this host, and an engine that exists here in place of KVM.
/// </summary>
public static class CoverLetter
{
    public const string Plug = "device_add host-arm-cpu,id=core4,core-id=4";
    public const string Unplug = "device_del core4";

    /// <param name="firmware">The firmware; null to enter the kernel directly.</param>
    public static IReadOnlyList<string> LaunchLine(string kernel, string initrd, string engine, string? firmware) =>
    [
        "-accel", engine, "-machine", "virt,gic-version=3",
        "-cpu", "host", "-smp", "cpus=4,maxcpus=6",
        "-m", "300M",
        "-kernel", kernel,
        "-initrd", initrd,
        "-append", "console=ttyAMA0 root=/dev/ram rdinit=/init maxcpus=2 acpi=force",
        "-nographic",
        .. firmware == null ? Array.Empty<string>() : ["-bios", firmware],
    ];

    /// <summary>A command line in the form in which a person types it in a shell.</summary>
    public static string Quote(IReadOnlyList<string> arguments) =>
        "vmm " + string.Join(' ', arguments.Select(a => a.Contains(' ', StringComparison.Ordinal) ? $"\"{a}\"" : a));
}
