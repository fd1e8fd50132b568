using System.Text;
using Vmm.Acpi;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boot.Efi;

namespace Vmm.Emulation.Boot;

/// <summary>Places a Linux kernel, its initial RAM disk and its device tree in RAM (booting.rst).</summary>
public static class LinuxBoot
{
    /// <summary>
    /// The size in bytes of the longest command line that an arm64 kernel takes, including the NUL at its end
    /// (arch/arm64/include/uapi/asm/setup.h, COMMAND_LINE_SIZE).
    /// </summary>
    public const int CommandLineSize = 2048;

    private const ulong Alignment = 2ul << 20;
    private const ulong DeviceTreeRoom = 1ul << 20;

    // The distance of the EFI hand-off from the device tree.
    private const ulong HandoffOffset = EfiHandoff.Granule;

    /// <exception cref="InvalidDataException">The kernel would cut off the command line; one line.</exception>
    public static void RequireCommandLine(string commandLine)
    {
        int length = Encoding.UTF8.GetByteCount(commandLine);
        if (length >= CommandLineSize)
        {
            throw new InvalidDataException($"the kernel command line has {length} bytes: arm64 kernels take at most {CommandLineSize - 1}");
        }
    }

    /// <exception cref="InvalidDataException">The kernel is big-endian, or the RAM is too small. The message says which.</exception>
    public static BootPlan Plan(IBoard board)
    {
        MachineConfig config = board.Config;
        Arm64Image image = Arm64Image.Parse(config.Boot.Kernel.ReadHead().Span, config.Boot.Kernel.Length);
        ulong start = board.Map.Ram.Value;
        ulong end = start + config.MemoryBytes;
        ulong kernel = start + image.TextOffset;
        ulong initrdSize = (ulong)config.Boot.Initrd.Length;

        // A header can contain any numbers, so sizes are compared before they are added.
        ulong needed = image.TextOffset > config.MemoryBytes || image.ImageSize > config.MemoryBytes
            ? Math.Max(image.TextOffset, image.ImageSize)
            : RoundUp(kernel + image.ImageSize) + RoundUp(initrdSize) + Alignment - start;
        if (needed > config.MemoryBytes)
        {
            throw new InvalidDataException(
                $"{config.MemoryBytes >> 20} MiB of RAM do not hold the kernel ({image.ImageSize >> 20} MiB) "
                + $"and the initrd ({initrdSize >> 20} MiB): "
                + $"give at least {(needed >> 20) + 1} MiB");
        }

        // The last 2 MiB hold the device tree and the tables that it points to. The initial RAM disk is below.
        ulong deviceTree = (end - DeviceTreeRoom) & ~(Alignment - 1);
        ulong initrd = (deviceTree - initrdSize) & ~(Alignment - 1);
        (ulong, ulong)? range = initrdSize == 0 ? null : (initrd, initrd + initrdSize);
        var blobs = new List<BootBlob> { new("kernel", kernel, config.Boot.Kernel) };
        if (config.Acpi)
        {
            AddAcpi(board, blobs, deviceTree, end, range);
        }
        else
        {
            blobs.Add(new BootBlob("device tree", deviceTree, DeviceTree.Build(board, range)));
        }

        if (initrdSize > 0)
        {
            blobs.Add(new BootBlob("initrd", initrd, config.Boot.Initrd));
        }

        return new BootPlan(blobs, kernel, deviceTree);
    }

    // Adds the device tree for ACPI, the EFI hand-off, and behind it the ACPI tables and SMBIOS.
    private static void AddAcpi(IBoard board, List<BootBlob> blobs, ulong deviceTree, ulong end, (ulong, ulong)? initrd)
    {
        ulong handoff = deviceTree + HandoffOffset;
        ulong acpi = handoff + EfiHandoff.Size;
        AcpiTableSet tables = AcpiTables.Build(board, acpi);
        ulong smbios = acpi + (ulong)tables.Bytes.Length;
        byte[] smbiosBytes = Smbios.Build(board, smbios);
        ulong tablesEnd = (smbios + (ulong)smbiosBytes.Length + EfiHandoff.Granule - 1) & ~(EfiHandoff.Granule - 1);
        (IReadOnlyList<BootBlob> efi, EfiPointers pointers) = EfiHandoff.Build(board.Map, handoff, smbios, tablesEnd, end);
        blobs.AddRange(efi);
        blobs.Add(new BootBlob("ACPI tables", acpi, tables.Bytes));
        blobs.Add(new BootBlob("SMBIOS", smbios, smbiosBytes));
        blobs.Add(new BootBlob("device tree", deviceTree, DeviceTree.BuildChosen(board.Config, initrd, pointers)));
    }

    private static ulong RoundUp(ulong value) => (value + Alignment - 1) & ~(Alignment - 1);
}
