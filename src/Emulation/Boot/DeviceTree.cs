using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot.Efi;

namespace Vmm.Emulation.Boot;

/// <summary>The device tree of the machine, as QEMU's <c>virt</c> describes itself: for kernels without ACPI (<c>-machine acpi=off</c>), and for firmware.</summary>
public static class DeviceTree
{
    private const uint Spi = 0;
    private const uint Ppi = 1;
    private const uint LevelHigh = 4;
    private const uint GicHandle = 0x8001;
    private const uint ClockHandle = 0x8000;
    private const uint GpioHandle = 0x8002;
    private const uint KeyPower = 116; // Linux, input-event-codes.h

    /// <param name="initrd">Start and end of the initial RAM disk.</param>
    public static byte[] Build(MachineConfig config, (ulong Start, ulong End)? initrd) => new Fdt().Node("", root =>
    {
        root.Cells("interrupt-parent", GicHandle).Cells("#address-cells", 2).Cells("#size-cells", 2)
            .Text("model", "linux,dummy-virt").Text("compatible", "linux,dummy-virt");
        root.Node("chosen", chosen =>
        {
            Common(chosen, config, initrd);
            chosen.Text("stdout-path", $"/pl011@{VirtMemoryMap.Uart.Value:x}");
        });
        root.Node($"memory@{VirtMemoryMap.Ram.Value:x}", memory =>
            memory.Text("device_type", "memory").Cells64("reg", VirtMemoryMap.Ram.Value, config.MemoryBytes));
        root.Node("psci", psci => psci.Text("compatible", "arm,psci-1.0", "arm,psci-0.2").Text("method", "hvc"));
        root.Node("cpus", cpus => DeviceTreeCpus.Add(cpus, config));
        root.Node("timer", timer => timer.Text("compatible", "arm,armv8-timer").Flag("always-on").Cells(
            "interrupts",
            [.. new[] { VirtInterruptMap.SecurePhysicalTimer, VirtInterruptMap.PhysicalTimer, VirtInterruptMap.VirtualTimer, VirtInterruptMap.HypervisorTimer }
                .SelectMany(id => new[] { Ppi, (uint)id.Value - 16, LevelHigh })]));
        root.Node($"intc@{VirtMemoryMap.GicDistributor.Value:x}", intc => InterruptController(intc, config));
        root.Node("apb-pclk", clock => clock.Text("compatible", "fixed-clock").Cells("#clock-cells", 0)
            .Cells("clock-frequency", 24_000_000).Text("clock-output-names", "clk24mhz").Cells("phandle", ClockHandle));
        root.Node($"pl011@{VirtMemoryMap.Uart.Value:x}", uart => uart.Text("compatible", "arm,pl011", "arm,primecell")
            .Cells64("reg", VirtMemoryMap.Uart.Value, VirtMemoryMap.UartSize)
            .Cells("interrupts", Spi, (uint)VirtInterruptMap.Uart.Value - 32, LevelHigh)
            .Cells("clocks", ClockHandle, ClockHandle).Text("clock-names", "uartclk", "apb_pclk"));
        root.Node($"pl031@{VirtMemoryMap.Rtc.Value:x}", rtc => rtc.Text("compatible", "arm,pl031", "arm,primecell")
            .Cells64("reg", VirtMemoryMap.Rtc.Value, VirtMemoryMap.RtcSize)
            .Cells("interrupts", Spi, (uint)VirtInterruptMap.Rtc.Value - 32, LevelHigh)
            .Cells("clocks", ClockHandle).Text("clock-names", "apb_pclk"));
        root.Node($"fw-cfg@{VirtMemoryMap.FwCfg.Value:x}", fwCfg => fwCfg.Text("compatible", "qemu,fw-cfg-mmio")
            .Cells64("reg", VirtMemoryMap.FwCfg.Value, VirtMemoryMap.FwCfgSize).Flag("dma-coherent"));
        if (config.Firmware != null)
        {
            root.Node($"flash@{VirtMemoryMap.Flash0.Value:x}", flash => flash.Text("compatible", "cfi-flash")
                .Cells64("reg", VirtMemoryMap.Flash0.Value, VirtMemoryMap.FlashSize, VirtMemoryMap.Flash1.Value, VirtMemoryMap.FlashSize)
                .Cells("bank-width", 4));
        }

        // With ACPI the power button is the GED's.
        if (!config.Acpi)
        {
            PowerButton(root);
        }
    }).ToArray();

    /// <summary>
    /// The stub for ACPI: nothing but /chosen, else Linux prefers the device tree. All six uefi properties are mandatory; 2 means
    /// that secure boot is disabled.
    /// </summary>
    public static byte[] BuildChosen(MachineConfig config, (ulong Start, ulong End)? initrd, EfiPointers efi) =>
        new Fdt().Node("", root => root.Cells("#address-cells", 2).Cells("#size-cells", 2).Node("chosen", chosen =>
        {
            Common(chosen, config, initrd);
            chosen.Cells64("linux,uefi-system-table", efi.SystemTable).Cells64("linux,uefi-mmap-start", efi.MemoryMap)
                .Cells("linux,uefi-mmap-size", efi.MemoryMapSize).Cells("linux,uefi-mmap-desc-size", EfiMemoryDescriptor.Size)
                .Cells("linux,uefi-mmap-desc-ver", 1).Cells("linux,uefi-secure-boot", 2);
        })).ToArray();

    // What /chosen has in both trees. The seeds are for KASLR and the kernel's random numbers.
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

    private static void PowerButton(Fdt root)
    {
        root.Node($"pl061@{VirtMemoryMap.Gpio.Value:x}", gpio => gpio.Text("compatible", "arm,pl061", "arm,primecell")
            .Cells64("reg", VirtMemoryMap.Gpio.Value, VirtMemoryMap.GpioSize)
            .Cells("interrupts", Spi, (uint)VirtInterruptMap.Gpio.Value - 32, LevelHigh)
            .Flag("gpio-controller").Cells("#gpio-cells", 2)
            .Cells("clocks", ClockHandle).Text("clock-names", "apb_pclk").Cells("phandle", GpioHandle));
        root.Node("gpio-keys", keys => keys.Text("compatible", "gpio-keys").Node("poweroff", key => key
            .Text("label", "GPIO Key Poweroff").Cells("linux,code", KeyPower).Cells("gpios", GpioHandle, VirtMachine.PowerButtonPin, 0)));
    }

    private static void InterruptController(Fdt intc, MachineConfig config)
    {
        ulong low = (ulong)Math.Min(config.PossibleCpus, VirtMemoryMap.GicRedistributorCount);
        ulong high = (ulong)config.PossibleCpus - low;
        intc.Text("compatible", "arm,gic-v3").Cells("#address-cells", 2).Cells("#size-cells", 2).Flag("ranges").Cells("#interrupt-cells", 3).Flag("interrupt-controller").Cells("phandle", GicHandle)
            .Cells("#redistributor-regions", high == 0 ? 1u : 2u)
            .Cells64(
                "reg",
                [
                    VirtMemoryMap.GicDistributor.Value, VirtMemoryMap.GicDistributorSize,
                    VirtMemoryMap.GicRedistributor.Value, low * VirtMemoryMap.GicRedistributorStride,
                    .. high == 0 ? Array.Empty<ulong>() : [VirtMemoryMap.GicRedistributorHigh.Value, high * VirtMemoryMap.GicRedistributorStride],
                ]);
    }
}
