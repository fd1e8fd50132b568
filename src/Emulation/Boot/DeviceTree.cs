using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Boot.Efi;
using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Boot;

/// <summary>
/// The device tree of the machine, in the form of QEMU's <c>virt</c>. Kernels without ACPI (<c>-machine acpi=off</c>) and firmware use it.
/// </summary>
public static class DeviceTree
{
    private const uint KeyPower = 116; // Linux, input-event-codes.h

    /// <param name="initrd">The addresses of the first byte of the initial RAM disk and of the byte after its last.</param>
    public static byte[] Build(IBoard board, (ulong Start, ulong End)? initrd) => new Fdt().Node("", root =>
    {
        (MachineConfig config, BoardMap map) = (board.Config, board.Map);
        CpuInterrupts interrupts = map.CpuInterrupts;
        root.Cells("interrupt-parent", Fdt.GicHandle).Cells("#address-cells", 2).Cells("#size-cells", 2)
            .Text("model", "linux,dummy-virt").Text("compatible", "linux,dummy-virt");
        root.Node("chosen", chosen =>
        {
            Common(chosen, config, initrd);
            chosen.Text("stdout-path", $"/pl011@{map.Uart.Address:x}");
        });
        root.Node($"memory@{map.Ram.Value:x}", memory =>
            memory.Text("device_type", "memory").Cells64("reg", map.Ram.Value, config.MemoryBytes));
        root.Node("psci", psci => psci.Text("compatible", "arm,psci-1.0", "arm,psci-0.2").Text("method", "hvc"));
        root.Node("cpus", cpus => DeviceTreeCpus.Add(cpus, config));
        root.Node("timer", timer => timer.Text("compatible", "arm,armv8-timer").Flag("always-on").Cells(
            "interrupts",
            [.. new[] { interrupts.SecurePhysicalTimer, interrupts.PhysicalTimer, interrupts.VirtualTimer, interrupts.HypervisorTimer }
                .SelectMany(id => new[] { Fdt.Ppi, (uint)id.Value - Fdt.FirstPpi, Fdt.LevelHigh })]));
        if (config.Cpu.Has(Feature.Pmuv3))
        {
            root.Node("pmu", pmu => pmu.Text("compatible", "arm,armv8-pmuv3")
                .Cells("interrupts", Fdt.Ppi, (uint)interrupts.Pmu.Value - Fdt.FirstPpi, Fdt.LevelHigh));
        }

        PlacedDevice[] devices = [.. board.Devices.Where(d => d.InTree)];
        devices[0].Device.Describe(root, devices[0].At);
        root.Node("apb-pclk", clock => clock.Text("compatible", "fixed-clock").Cells("#clock-cells", 0)
            .Cells("clock-frequency", 24_000_000).Text("clock-output-names", "clk24mhz").Cells("phandle", Fdt.ClockHandle));
        foreach (PlacedDevice placed in devices.Skip(1))
        {
            placed.Device.Describe(root, placed.At);
        }

        // With ACPI the GED has the power button.
        if (!config.Acpi)
        {
            PowerButton(root, map);
        }
    }).ToArray();

    /// <summary>
    /// The device tree of a kernel with ACPI. It has only /chosen, because Linux would prefer a full device tree to ACPI. All six uefi
    /// properties are mandatory; 2 means that secure boot is disabled.
    /// </summary>
    public static byte[] BuildChosen(MachineConfig config, (ulong Start, ulong End)? initrd, EfiPointers efi) =>
        new Fdt().Node("", root => root.Cells("#address-cells", 2).Cells("#size-cells", 2).Node("chosen", chosen =>
        {
            Common(chosen, config, initrd);
            chosen.Cells64("linux,uefi-system-table", efi.SystemTable).Cells64("linux,uefi-mmap-start", efi.MemoryMap)
                .Cells("linux,uefi-mmap-size", efi.MemoryMapSize).Cells("linux,uefi-mmap-desc-size", EfiMemoryDescriptor.Size)
                .Cells("linux,uefi-mmap-desc-ver", 1).Cells("linux,uefi-secure-boot", 2);
        })).ToArray();

    // The properties that /chosen has in both trees. The seeds are for KASLR and the kernel's random numbers.
    private static void Common(Fdt chosen, MachineConfig config, (ulong Start, ulong End)? initrd)
    {
        chosen.Text("bootargs", config.Boot.CommandLine);
        if (initrd is { } range)
        {
            chosen.Cells64("linux,initrd-start", range.Start).Cells64("linux,initrd-end", range.End);
        }

        if (config.DtbRandomness)
        {
            chosen.Property("kaslr-seed", HostRandom.Bytes(8)).Property("rng-seed", HostRandom.Bytes(32));
        }
    }

    private static void PowerButton(Fdt root, BoardMap map) => root.Node("gpio-keys", keys => keys.Text("compatible", "gpio-keys")
        .Node("poweroff", key => key
            .Text("label", "GPIO Key Poweroff").Cells("linux,code", KeyPower).Cells("gpios", Fdt.GpioHandle, (uint)map.PowerButtonPin, 0)));
}
