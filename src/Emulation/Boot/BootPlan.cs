using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Boot;

/// <summary>A piece of guest memory to fill before the boot CPU starts.</summary>
public readonly record struct BootBlob(string Name, ulong Address, BootFile Contents);

/// <summary>
/// The start of the boot CPU: PC is the entry point, X0 the address of the device tree, the MMU is off, and the level is EL1.
/// </summary>
public sealed record BootPlan(IReadOnlyList<BootBlob> Blobs, ulong EntryPoint, ulong DeviceTreeAddress)
{
    /// <summary>
    /// The start of a machine by its firmware, or directly with a Linux kernel or another program. It is the same at each reset, except for
    /// the random seeds.
    /// </summary>
    /// <exception cref="InvalidDataException">
    /// The kernel cannot run here, or the RAM is too small. The message says which.
    /// </exception>
    public static BootPlan Make(IBoard board)
    {
        MachineConfig config = board.Config;
        ReadOnlySpan<byte> kernel = config.Boot.Kernel.ReadHead().Span;
        PeFile.RequireWhole(kernel, config.Boot.Kernel.Length);
        if (Arm64Image.IsImage(kernel) || KernelFile.IsZboot(kernel))
        {
            LinuxBoot.RequireCommandLine(config.Boot.CommandLine);
        }

        return config.Firmware != null ? FirmwareBoot.Plan(board)
            : Arm64Image.IsImage(kernel) ? LinuxBoot.Plan(board)
            : BareMetalBoot.Plan(board);
    }
}
