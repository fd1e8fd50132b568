using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.FwCfg;

namespace Vmm.Emulation.Boot;

/// <summary>
/// A boot by firmware in flash. The device tree is at the start of RAM, and everything else comes through fw_cfg, as with QEMU's
/// <c>virt</c>.
/// </summary>
public static class FirmwareBoot
{
    /// <summary>The start of the boot CPU: the reset vector is the first instruction in flash.</summary>
    public static BootPlan Plan(IBoard board) => new(
        [new BootBlob("device tree", board.Map.Ram.Value, DeviceTree.Build(board, null))],
        board.Map.FlashBanks[0].Value,
        0);

    /// <summary>The items of fw_cfg. Without firmware they only describe the machine.</summary>
    public static FwCfgItems Items(IBoard board)
    {
        MachineConfig config = board.Config;
        var items = new Dictionary<ushort, ReadOnlyMemory<byte>>
        {
            [FwCfgKey.Uuid] = config.Uuid.ToByteArray(bigEndian: true),
            [FwCfgKey.RamSize] = Number(config.MemoryBytes, 8),
            [FwCfgKey.NoGraphic] = Number(1, 2),
            [FwCfgKey.CpuCount] = Number((ulong)config.EnabledCpus, 2),
            [FwCfgKey.MaxCpus] = Number((ulong)config.PossibleCpus, 2),
            [FwCfgKey.BootMenu] = Number(config.BootChoice.Menu ? 1ul : 0, 2),
        };
        if (config.Firmware == null)
        {
            return new FwCfgItems(items, []);
        }

        if (!config.Boot.Kernel.IsEmpty)
        {
            byte[] commandLine = [.. Encoding.UTF8.GetBytes(config.Boot.CommandLine), 0];
            ReadOnlyMemory<byte> initrd = config.Boot.Initrd.ReadAll();
            items[FwCfgKey.KernelSize] = Number((ulong)config.Boot.Kernel.Length, 4);
            items[FwCfgKey.KernelData] = config.Boot.Kernel.ReadAll();
            items[FwCfgKey.InitrdSize] = Number((ulong)initrd.Length, 4);
            items[FwCfgKey.InitrdData] = initrd;
            items[FwCfgKey.CommandLineSize] = Number((ulong)commandLine.Length, 4);
            items[FwCfgKey.CommandLineData] = commandLine;
        }

        IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> files = Smbios.Build(board).Concat(BootFiles(board));
        return new FwCfgItems(items, config.Acpi ? files.Concat(AcpiLoader.Build(AcpiTables.Build(board, 0))) : files);
    }

    // What is booted from, in which order, and how long a menu or a failure is shown (QEMU, hw/nvram/fw_cfg.c).
    private static IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> BootFiles(IBoard board)
    {
        BootChoice choice = board.Config.BootChoice;
        string[] paths = [.. board.Devices.Select(d => d.Boot).OfType<BootEntry>().OrderBy(b => b.Index).Select(b => b.Path)];
        string order = string.Join('\n', choice.Strict && paths.Length > 0 ? paths.Append("HALT") : paths);
        yield return new("bootorder", paths.Length == 0 ? ReadOnlyMemory<byte>.Empty : Encoding.ASCII.GetBytes(order + "\0"));
        yield return new("etc/boot-fail-wait", Number((uint)choice.RebootTimeout, 4));
        if (choice.SplashTime is { } time)
        {
            yield return new("etc/boot-menu-wait", Number(time, 2));
        }
    }

    private static byte[] Number(ulong value, int size)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes[..size];
    }
}
