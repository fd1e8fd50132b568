using Vmm.Emulation.Machine;

namespace Vmm.Emulation.Boot;

/// <summary>A piece of guest memory to fill before the boot CPU starts.</summary>
public readonly record struct BootBlob(string Name, ulong Address, ReadOnlyMemory<byte> Bytes);

/// <summary>What the boot CPU starts with: PC at the kernel's entry, X0 at the device tree, MMU off, EL1.</summary>
public sealed record BootPlan(IReadOnlyList<BootBlob> Blobs, ulong EntryPoint, ulong DeviceTreeAddress);

/// <summary>Places a Linux kernel, its initial RAM disk and its device tree in RAM (booting.rst).</summary>
public static class LinuxBoot
{
    private const ulong Alignment = 2ul << 20;
    private const ulong DeviceTreeRoom = 1ul << 20;

    /// <exception cref="InvalidDataException">The kernel is not an arm64 Image, or the RAM is too small; the message says which.</exception>
    public static BootPlan Plan(MachineConfig config)
    {
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

        // The device tree in the last 2 MiB, the initial RAM disk below it.
        ulong deviceTree = (end - DeviceTreeRoom) & ~(Alignment - 1);
        ulong initrd = (deviceTree - initrdSize) & ~(Alignment - 1);
        (ulong, ulong)? range = config.Boot.Initrd == null ? null : (initrd, initrd + initrdSize);
        var blobs = new List<BootBlob>
        {
            new("kernel", kernel, config.Boot.Kernel),
            new("device tree", deviceTree, DeviceTree.Build(config, range)),
        };
        if (config.Boot.Initrd is { } bytes)
        {
            blobs.Add(new BootBlob("initrd", initrd, bytes));
        }

        return new BootPlan(blobs, kernel, deviceTree);
    }

    private static ulong RoundUp(ulong value) => (value + Alignment - 1) & ~(Alignment - 1);
}
