using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Net;

namespace Vmm.Host.Options;

/// <summary>
/// The options about the machine. Each is checked by itself when it is read. <see cref="ToConfig"/> checks that they fit together.
/// </summary>
public sealed record MachineOptions
{
    // The largest size of a kernel and of an initial RAM disk, in bytes.
    private const ulong LargestFile = 1 << 30;

    /// <summary>The name of the kernel file; null for none.</summary>
    public string? Kernel { get; init; }

    public string? Initrd { get; init; }

    /// <summary>The kernel's command line.</summary>
    public string Append { get; init; } = "";

    /// <summary>The members of all <c>-smp</c> together.</summary>
    public IReadOnlyDictionary<string, int> Smp { get; init; } = new Dictionary<string, int>();

    /// <summary>The size of RAM in bytes (<c>-m</c>); null if it is not given.</summary>
    public ulong? Memory { get; init; }

    public CpuModel Cpu { get; init; } = CpuModel.Find("max")!;

    public MachineOption Machine { get; init; } = new();

    /// <summary>The engine of <c>-accel</c>; null if it is not given.</summary>
    public AcceleratorChoice? Accel { get; init; }

    /// <summary>The firmware file (<c>-bios</c>); null for none.</summary>
    public string? Bios { get; init; }

    /// <summary>The values of <c>-drive</c> for banks of flash (<see cref="FirmwareOption.DriveSyntax"/>).</summary>
    public IReadOnlyList<string> Drives { get; init; } = [];

    /// <summary>The images of disks, of all options that have some.</summary>
    public IReadOnlyList<DiskOption> Disks { get; init; } = [];

    /// <summary>The devices of disks.</summary>
    public IReadOnlyList<DiskDeviceOption> DiskDevices { get; init; } = [];

    /// <summary>Changes of drives last as long as the VM (<c>-snapshot</c>).</summary>
    public bool Snapshot { get; init; }

    /// <summary>The groups of limits of disks: those of <c>-object throttle-group</c>, and those of drives that were made.</summary>
    public ThrottleGroups Groups { get; init; } = new();

    /// <summary>The machine waits for a migration: its disks are another one's until then.</summary>
    public bool IsIncoming { get; init; }

    /// <summary>The real time clock.</summary>
    public RtcConfig Rtc { get; init; } = RtcOption.Default;

    /// <summary>
    /// The shift N of <c>-icount</c>, by which an instruction takes 2^N ns of guest time; null if guest time follows the host's.
    /// </summary>
    public int? InstructionShift { get; init; }

    /// <summary>The name of the VM (<c>-name</c>).</summary>
    public string Name { get; init; } = "";

    public Guid Uuid { get; init; }

    /// <summary>CPUs that are plugged from power-on.</summary>
    public IReadOnlyList<CpuDeviceOption> Devices { get; init; } = [];

    /// <summary>The devices on the PCI bus.</summary>
    public IReadOnlyList<PciDeviceConfig> PciDevices { get; init; } = [];

    /// <summary>What firmware is told about its boot (<c>-boot</c>).</summary>
    public BootChoice BootChoice { get; init; } = new();

    /// <summary>The network backends.</summary>
    public IReadOnlyList<NetdevOption> Netdevs { get; init; } = [];

    /// <summary>Network devices and backends of <c>-nic</c> and <c>-net</c>.</summary>
    public IReadOnlyList<NicOption> Nics { get; init; } = [];

    /// <summary>The files of frames (<c>-object filter-dump</c>).</summary>
    public IReadOnlyList<FilterDumpOption> Dumps { get; init; } = [];

    /// <summary>The network devices on the MMIO transport.</summary>
    public IReadOnlyList<VirtioNetConfig> NetDevices { get; init; } = [];

    /// <summary>Other virtio devices, on either transport.</summary>
    public IReadOnlyList<VirtioDeviceOption> VirtioDevices { get; init; } = [];

    /// <summary>Ports of the consoles among them.</summary>
    public IReadOnlyList<SerialPortOption> SerialPorts { get; init; } = [];

    /// <summary>Folders of the host that devices may have (<c>-fsdev</c>).</summary>
    public IReadOnlyList<FsdevOption> SharedFolders { get; init; } = [];

    /// <summary>Whether nothing may keep the machine from being saved or moved (<c>-only-migratable</c>).</summary>
    public bool OnlyMigratable { get; init; }

    /// <summary>The VM generation ID; null without.</summary>
    public GenerationIdConfig? GenerationId { get; init; }

    /// <summary>The values of <c>-global</c> about CPUs.</summary>
    public IReadOnlyList<GlobalOption> Globals { get; init; } = [];

    /// <summary>
    /// Checks the options and makes the configuration. It opens the files of firmware and disks, which the caller disposes.
    /// </summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public MachineConfig ToConfig()
    {
        SmpOption smp = SmpOption.Of(Smp);
        ulong memory = Memory ?? MemoryOption.Default;
        CpuModel cpu = Machine.ModelOf(Globals.Aggregate(Cpu, (model, global) => global.ApplyTo(model)));
        Machine.RequireRoom(memory, smp.Topology.Count);
        if (Machine.IsEmpty && (Kernel ?? Initrd ?? Bios) != null)
        {
            throw new OptionException("-machine none has no guest: give -machine virt to boot one");
        }

        AcceleratorOption accelerator = Accelerator;
        if (InstructionShift != null && (smp.Topology.Count > 1 || accelerator.Accelerator != Emulation.Boards.Accelerator.Interpreter))
        {
            throw new OptionException("-icount counts the instructions of one CPU that is interpreted: give -smp 1 and -accel interp");
        }

        FirmwareConfig? firmware = FirmwareOption.Open(Bios, Drives);
        bool isEmpty = Machine.IsEmpty || (Kernel == null && Machine.TreeFile != null);
        if (Kernel == null && firmware == null && !isEmpty)
        {
            throw new OptionException("no kernel: give an arm64 Image or a bare-metal program with -kernel, or firmware with -bios");
        }

        if (Kernel == null && (Initrd != null || Append.Length > 0))
        {
            throw new OptionException($"{(Initrd != null ? "-initrd" : "-append")} only allowed with -kernel option");
        }

        BootFile kernel = isEmpty ? EmptyMachine.Program : OpenKernel(memory, firmware != null);
        BootFile initrd = Initrd == null ? BootFile.Empty : UserFile.OpenBootFile("initrd", Initrd, Largest(memory));
        var networks = Networks.Join(Netdevs, Nics, NetDevices, PciDevices);
        var boot = new BootConfig(kernel, initrd, Append);
        var config = new MachineConfig(cpu, smp.Cpus, smp.Topology, memory, boot)
        {
            Firmware = firmware,

            // A program that is not Linux finds the machine described by a device tree alone.
            Acpi = Machine.Acpi && (firmware != null || Arm64Image.IsImage(kernel.ReadHead().Span)),
            DtbRandomness = Machine.DtbRandomness,
            Rtc = Rtc,
            InstructionShift = InstructionShift,
            Name = Name,
            Uuid = Uuid,
            DisabledCpus = smp.DisabledCpus,
            ColdPluggedCpusOnlineCapable = Machine.OnlineCapable,
            Accelerator = accelerator.Accelerator,
            TranslationBytes = accelerator.TranslationBytes,
            PerfMap = accelerator.PerfMap,
            DualMapping = accelerator.DualMapping,
            GenerationId = GenerationId,
            Msi = Machine.Msi,
            Pci = Machine.Pci,
        };
        if (Machine.IsEmpty && Disks.Count + networks.Netdevs.Count + VirtioDevices.Count > 0)
        {
            string what = Disks.Count > 0 ? "disks" : networks.Netdevs.Count > 0 ? "network" : "virtio devices";
            throw new OptionException($"-machine none has no {what}");
        }

        (IReadOnlyList<VirtioConfig> mmio, IReadOnlyList<PciDeviceConfig> pci) =
            Options.Disks.Make(Disks, DiskDevices, networks.Pci, Snapshot, smp.Cpus, Groups);
        if (GenerationId != null && !config.Acpi)
        {
            throw new OptionException($"-device {GenerationIdOption.Driver}: the VM generation ID is not supported without ACPI");
        }

        if (VirtioDevices.Select(d => d.Id).Concat(mmio.Select(d => d.Id)).Concat(pci.Select(d => d.Id)).Where(id => id.Length > 0)
            .GroupBy(id => id).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new OptionException($"Duplicate device ID '{twice.Key}'");
        }

        SerialPortOption.RequireConsole(SerialPorts, VirtioDevices);
        (VirtioDeviceOption Option, VirtioConfig Made)[] virtio = [.. VirtioDevices.Select(d => (d, d.Make(this)))];
        VirtioDeviceOption.RequireOneBalloon(VirtioDevices);
        config = config with
        {
            BootChoice = BootChoice,
            PluggedCpus = CpuDeviceOption.Place(Devices, config),
            PciDevices = [.. networks.Nics, .. InOrder(pci, networks.Pci, virtio)],
            VirtioMmio = [.. mmio, .. networks.Mmio, .. virtio.Where(d => !d.Option.IsPci).Select(d => d.Made)],
        };
        if (config.VirtioMmio.Count > VirtBoard.VirtioSlots)
        {
            throw new OptionException($"No 'virtio-bus' bus found for device '{NetDeviceOption.Driver}': there are "
                + $"{VirtBoard.VirtioSlots} slots");
        }

        try
        {
            using var board = new VirtBoard(config);
            BootPlan.Make(board);
        }
        catch (Exception e) when (e is InvalidDataException or InsufficientMemoryException)
        {
            throw new OptionException(e.Message);
        }

        // The last that can fail, for what they open stays open.
        NetdevTable netdevs = networks.Open(Dumps, claim: !IsIncoming);
        try
        {
            if (!IsIncoming)
            {
                Options.Disks.Open(config);
            }

            return config with { Netdevs = netdevs };
        }
        catch
        {
            netdevs.Dispose();
            throw;
        }
    }

    // The devices of the PCI bus in the order of the command line: a device has its place among those that are counted.
    private static IEnumerable<PciDeviceConfig> InOrder(
        IReadOnlyList<PciDeviceConfig> placed,
        IReadOnlyList<PciDeviceConfig> counted,
        IReadOnlyList<(VirtioDeviceOption Option, VirtioConfig Made)> virtio)
    {
        IEnumerable<PciDeviceConfig> Behind(int others) => virtio.Where(d => d.Option.IsPci && d.Option.Place == others)
            .Select(d => new VirtioPciConfig(d.Made, d.Option.Bus, d.Option.Slot));
        int others = 0;
        foreach (PciDeviceConfig first in Behind(0))
        {
            yield return first;
        }

        foreach (PciDeviceConfig device in placed)
        {
            yield return device;
            if (others < counted.Count && ReferenceEquals(device, counted[others]))
            {
                others++;
                foreach (PciDeviceConfig next in Behind(others))
                {
                    yield return next;
                }
            }
        }
    }

    /// <summary>The engine of <c>-accel</c> or <c>-machine accel=</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public AcceleratorOption Accelerator => Machine.Accel != null && Accel != null
        ? throw new OptionException("The -accel and \"-machine accel=\" options are incompatible")
        : (Machine.Accel ?? Accel ?? AcceleratorChoice.Fastest).Engine;

    private BootFile OpenKernel(ulong memory, bool forFirmware)
    {
        if (Kernel == null)
        {
            return BootFile.Empty;
        }

        try
        {
            return KernelFile.Unpack(UserFile.OpenBootFile("kernel", Kernel, Largest(memory)), forFirmware);
        }
        catch (InvalidDataException e)
        {
            throw new OptionException(e.Message);
        }
    }

    private static long Largest(ulong memory) => (long)Math.Min(memory, LargestFile);
}
