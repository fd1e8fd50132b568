using Vmm.Acpi;
using Vmm.Emulation.Machine;

namespace Vmm.Emulation.Boot;

/// <summary>A piece of guest memory to fill before the boot CPU starts.</summary>
public readonly record struct BootBlob(string Name, ulong Address, ReadOnlyMemory<byte> Bytes);

/// <summary>What the boot CPU starts with: PC at the kernel's entry, X0 at the device tree, MMU off, EL1.</summary>
public sealed record BootPlan(IReadOnlyList<BootBlob> Blobs, ulong EntryPoint, ulong DeviceTreeAddress);

/// <summary>Places a Linux kernel, its initial RAM disk and its device tree in RAM (booting.rst); with firmware, see <see cref="FirmwareBoot"/>.</summary>
public static class LinuxBoot
{
    private const ulong Alignment = 2ul << 20;
    private const ulong DeviceTreeRoom = 1ul << 20;

    // From the device tree; 64 KiB apart for kernels with pages of that size.
    private const ulong EfiOffset = 0x1_0000;
    private const ulong AcpiOffset = 0x2_0000;

    /// <exception cref="InvalidDataException">The kernel is not an arm64 Image, or the RAM is too small; the message says which.</exception>
    public static BootPlan Plan(MachineConfig config)
    {
        if (config.Firmware != null)
        {
            return FirmwareBoot.Plan(config);
        }

        Arm64Image image = Arm64Image.Parse(config.Boot.Kernel.Span);
        ulong start = VirtMemoryMap.Ram.Value;
        ulong end = start + config.MemoryBytes;
        ulong kernel = start + image.TextOffset;
        ulong kernelEnd = RoundUp(kernel + image.ImageSize);
        ulong initrdSize = (ulong)(config.Boot.Initrd?.Length ?? 0);
        ulong needed = kernelEnd + RoundUp(initrdSize) + Alignment - start;
        if (needed > config.MemoryBytes)
        {
            throw new InvalidDataException(
                $"{config.MemoryBytes >> 20} MiB of RAM do not hold the kernel ({image.ImageSize >> 20} MiB) and the initrd ({initrdSize >> 20} MiB): "
                + $"give at least {(needed >> 20) + 1} MiB");
        }

        // The last 2 MiB hold the device tree and what it leads to; the initial RAM disk is below.
        ulong deviceTree = (end - DeviceTreeRoom) & ~(Alignment - 1);
        ulong initrd = (deviceTree - initrdSize) & ~(Alignment - 1);
        (ulong, ulong)? range = config.Boot.Initrd == null ? null : (initrd, initrd + initrdSize);
        var blobs = new List<BootBlob> { new("kernel", kernel, config.Boot.Kernel) };
        if (config.Acpi)
        {
            AddAcpi(config, blobs, deviceTree, end, range);
        }
        else
        {
            blobs.Add(new BootBlob("device tree", deviceTree, DeviceTree.Build(config, range)));
        }

        if (config.Boot.Initrd is { } bytes)
        {
            blobs.Add(new BootBlob("initrd", initrd, bytes));
        }

        return new BootPlan(blobs, kernel, deviceTree);
    }

    // The stub device tree, the EFI tables, and the ACPI tables and SMBIOS behind them, which alone are not ordinary memory.
    private static void AddAcpi(MachineConfig config, List<BootBlob> blobs, ulong deviceTree, ulong end, (ulong, ulong)? initrd)
    {
        ulong efi = deviceTree + EfiOffset;
        ulong acpi = deviceTree + AcpiOffset;
        AcpiTableSet tables = AcpiTables.Build(config, acpi);
        ulong smbios = acpi + (ulong)tables.Bytes.Length;
        byte[] smbiosBytes = Smbios.Build(config, smbios);
        ulong acpiEnd = (smbios + (ulong)smbiosBytes.Length + 0xFFFF) & ~0xFFFFul;
        (byte[] efiBytes, ulong map, uint mapSize) = EfiHandoff.Build(efi, acpi, smbios,
        [
            new(EfiHandoff.MemoryType.Conventional, VirtMemoryMap.Ram.Value, acpi - VirtMemoryMap.Ram.Value),
            new(EfiHandoff.MemoryType.AcpiReclaim, acpi, acpiEnd - acpi),
            new(EfiHandoff.MemoryType.Conventional, acpiEnd, end - acpiEnd),
        ]);
        blobs.Add(new BootBlob("EFI tables", efi, efiBytes));
        blobs.Add(new BootBlob("ACPI tables", acpi, tables.Bytes));
        blobs.Add(new BootBlob("SMBIOS", smbios, smbiosBytes));
        blobs.Add(new BootBlob("device tree", deviceTree, DeviceTree.BuildChosen(config, initrd, efi, map, mapSize)));
    }

    private static ulong RoundUp(ulong value) => (value + Alignment - 1) & ~(Alignment - 1);
}
