using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Boot;

/// <summary>
/// Starts a program that is not Linux as QEMU's <c>virt</c> does (docs/system/arm/virt.rst, "Hardware configuration information for
/// bare-metal programming"): an ELF file, or a flat binary without a header. It finds the machine described by its device tree, whose
/// address is in X0.
/// </summary>
public static class BareMetalBoot
{
    // The distance of a flat binary from the start of RAM in QEMU (hw/arm/boot.c, KERNEL64_LOAD_ADDR).
    private const ulong FlatOffset = 0x8_0000;

    // The distance of an initial RAM disk from the start of RAM. In a small RAM the disk is in the middle instead.
    private const ulong InitrdOffset = 128ul << 20;
    private const ulong InitrdAlignment = 4096;
    private const ulong DeviceTreeAlignment = 2ul << 20;

    // Files that people give by mistake, each known by bytes at an offset.
    private static readonly (int Offset, byte[] Magic, string What)[] s_foreign =
    [
        (0, [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "compressed with xz: unpack it with unxz"),
        (0, [0x28, 0xB5, 0x2F, 0xFD], "compressed with zstd: unpack it with unzstd"),
        (0, [(byte)'B', (byte)'Z', (byte)'h'], "compressed with bzip2: unpack it with bunzip2"),
        (0, [0x04, 0x22, 0x4D, 0x18], "compressed with lz4: unpack it with unlz4"),
        (0, [0x02, 0x21, 0x4C, 0x18], "compressed with lz4: unpack it with unlz4"),
        (0, [0x27, 0x05, 0x19, 0x56], "an image of U-Boot: give what it was made of"),
        (0, [0xD0, 0x0D, 0xFE, 0xED], "a device tree or a FIT image: give an arm64 Image"),
        (0, [(byte)'0', (byte)'7', (byte)'0', (byte)'7'], "a cpio archive: give it as -initrd"),
        (0, [(byte)'M', (byte)'Z'], "an EFI application: give firmware to start it, with -bios"),
        (0x202, [(byte)'H', (byte)'d', (byte)'r', (byte)'S'], "a Linux kernel for x86: give one for arm64"),
    ];

    /// <exception cref="InvalidDataException">
    /// The file cannot run here, or the RAM is too small. The message says which.
    /// </exception>
    public static BootPlan Plan(IBoard board)
    {
        MachineConfig config = board.Config;
        ulong ram = board.Map.Ram.Value;
        ulong ramEnd = ram + config.MemoryBytes;
        bool elf = ElfFile.IsElf(config.Boot.Kernel.ReadHead().Span);
        LoadedProgram program = elf ? ElfFile.Parse(config.Boot.Kernel.ReadAll(), ram, config.MemoryBytes) : Flat(config.Boot.Kernel, ram);
        ulong initrd = RoundUp(Math.Max(ram + Math.Min(config.MemoryBytes / 2, InitrdOffset), program.End), InitrdAlignment);
        ulong initrdEnd = initrd + (ulong)config.Boot.Initrd.Length;
        byte[] tree = DeviceTree.Build(board, config.Boot.Initrd.IsEmpty ? null : (initrd, initrdEnd));

        // The device tree of an ELF file is at the start of RAM, where programs look for it, if there is room.
        ulong treeAddress = elf && program.Start - ram >= (ulong)tree.Length ? ram : RoundUp(initrdEnd, DeviceTreeAlignment);
        if (program.End > ramEnd || initrdEnd > ramEnd || treeAddress + (ulong)tree.Length > ramEnd)
        {
            throw new InvalidDataException(
                $"{config.MemoryBytes >> 20} MiB of RAM do not hold the program, which ends at 0x{program.End:x}, "
                + $"the initrd ({config.Boot.Initrd.Length >> 20} MiB) and the device tree behind it");
        }

        List<BootBlob> blobs = [.. program.Segments, new BootBlob("device tree", treeAddress, tree)];
        if (!config.Boot.Initrd.IsEmpty)
        {
            blobs.Add(new BootBlob("initrd", initrd, config.Boot.Initrd));
        }

        return new BootPlan(blobs, program.EntryPoint, treeAddress);
    }

    private static LoadedProgram Flat(BootFile file, ulong ram)
    {
        ReadOnlySpan<byte> head = file.ReadHead().Span;
        foreach ((int offset, byte[] magic, string what) in s_foreign)
        {
            if (head.Length >= offset + magic.Length && head[offset..].StartsWith(magic))
            {
                throw new InvalidDataException($"the kernel is {what}");
            }
        }

        if (file.Length < 4)
        {
            throw new InvalidDataException($"the kernel is only {file.Length} bytes long: there is no instruction in it");
        }

        ulong start = ram + FlatOffset;
        return new LoadedProgram([new BootBlob("kernel", start, file)], start, start, start + (ulong)file.Length);
    }

    private static ulong RoundUp(ulong value, ulong alignment) => (value + alignment - 1) & ~(alignment - 1);
}
